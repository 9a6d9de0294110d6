"""Live traffic for `make run`: a few agents spend and report usage through the HTTP API, as a platform does.

The pace follows the account: brisk while charges are few, slow when half of the hour's charges are used up,
and when none is allowed, so slow that the credits last until the next one is.
"""

import datetime as dt
import random
import threading
import time
import uuid
from decimal import Decimal
from typing import Any

import httpx

from local.api import Api
from local.embedded import EmbeddedError

AGENTS = {
    "researcher": ("research", "tool_call", "tool_call", "message"),
    "support": ("message", "message", "tool_call"),
    "designer": ("image", "tool_call", "message"),
}
BATCH_AGENT = "support"
BATCH_SHARE = 0.3
BATCH_EVENTS = 3
FAST_TOPUP_SECONDS = 60.0
HOUR_SECONDS = 3600.0
PAUSE_SECONDS_MAX = 30.0
REFUSED_SECONDS = 5.0
AWAY_SECONDS = 1.0
REFUSALS = (402, 409)


class Traffic(threading.Thread):
    """Agents at work until `stop`; they wait, and send the same again, while web is away."""

    def __init__(self, api: Api) -> None:
        super().__init__(daemon=True)
        self._api = api
        self._stopping = threading.Event()
        self._random = random.Random()  # noqa: S311 - traffic, not secrets

    def stop(self) -> None:
        """Let the request at hand end, and no more."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Emit, then wait as long as the credits just used are worth."""
        prices: dict[str, Decimal] = {}
        while not self._stopping.is_set():
            try:
                prices = prices or self._prices()
                state = self._api.get("/api/credits/balance")
                pace = credits_per_second(state)
                cost = self._act(prices, cheap=pace < credits_per_second_at_best(state) / 2)
                wait = min(float(cost) / pace, PAUSE_SECONDS_MAX) if cost else REFUSED_SECONDS
            except (httpx.HTTPError, EmbeddedError):
                wait = AWAY_SECONDS
            self._stopping.wait(wait)

    def _act(self, prices: dict[str, Decimal], *, cheap: bool) -> Decimal:
        """One agent does one thing; answers what it cost, nothing when it was refused."""
        agent = self._random.choice(list(AGENTS))
        action = "tool_call" if cheap else self._random.choice(AGENTS[agent])
        run_id = f"{agent}-{int(time.time()) // 60}"
        if agent == BATCH_AGENT and not cheap and self._random.random() < BATCH_SHARE:
            event = {"action": "message", "agent": agent, "run_id": run_id}
            self._send_batch([{"id": _id(agent, "message"), **event} for _ in range(BATCH_EVENTS)])
            return prices["message"] * BATCH_EVENTS
        return prices[action] if self._spend(action, agent, run_id) else Decimal(0)

    def _spend(self, action: str, agent: str, run_id: str) -> bool:
        """Spend once, however often it must be sent; False when it is refused."""
        identity = _id(agent, action)
        while not self._stopping.is_set():
            try:
                answer = self._api.try_post(
                    "/api/credits/use", id=identity, action=action, agent=agent, run_id=run_id
                )
            except httpx.HTTPError:
                self._stopping.wait(AWAY_SECONDS)
                continue
            if not answer.is_error:
                return True
            if answer.status_code in REFUSALS:
                return False
            self._stopping.wait(AWAY_SECONDS)
        return False

    def _send_batch(self, events: list[dict[str, Any]]) -> None:
        while not self._stopping.is_set():
            try:
                self._api.post_events(events)
            except (httpx.HTTPError, EmbeddedError):
                self._stopping.wait(AWAY_SECONDS)
            else:
                return

    def _prices(self) -> dict[str, Decimal]:
        rows = self._api.get("/api/billing/actions")["data"]
        return {row["action"]: Decimal(row["credits"]) for row in rows}


def _id(agent: str, action: str) -> str:
    return f"{agent}-{action}-{uuid.uuid4().hex[:12]}"


def credits_per_second_at_best(state: dict[str, Any]) -> float:
    """A top-up a minute."""
    return float(state["auto_topup"]["amount"] or 100) / FAST_TOPUP_SECONDS


def credits_per_second(state: dict[str, Any]) -> float:
    """How fast to spend, by the account's balance and its auto top-up as the API shows them."""
    topup = state["auto_topup"]
    best = credits_per_second_at_best(state)
    if not topup["enabled"]:
        return best
    if topup["next_attempt_at"]:
        left = dt.datetime.fromisoformat(topup["next_attempt_at"]) - dt.datetime.now(dt.UTC)
        return max(0.01, min(best, float(state["available"]) / max(left.total_seconds(), 1.0)))
    half = int(topup["caps"]["per_hour"]) / 2
    if topup["spent"]["per_hour"] < half:
        return best
    # The other half of the hour's charges, spread over the hour.
    return min(best, float(topup["amount"] or 100) * half / HOUR_SECONDS)
