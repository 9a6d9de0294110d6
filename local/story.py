"""What happens to an account, told as it happens: one calm line for each event, read through the HTTP API."""

import datetime as dt
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx

from local.api import Api, price_text
from local.embedded import EmbeddedError

POLL_SECONDS = 0.5
SPENT_LINE_SECONDS = 5.0
STATES = {
    "action_required": "the bank asks the card holder to confirm",
    "unknown": "the outcome is unknown yet",
}


class Story(threading.Thread):
    """Watches the account's ledger and auto top-up until `stop`."""

    def __init__(self, api: Api, tell: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        self._api = api
        self._tell = tell
        self._stopping = threading.Event()
        self._last_id: str | None = None
        self._previous: dict[str, Any] | None = None
        self._spent = Decimal(0)
        self._entries = 0
        self._told_at = time.monotonic()
        self._condition: tuple[Any, ...] = ()
        self._away = False

    def stop(self) -> None:
        """End after the look at hand."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Look twice a second; say once when web is away, and when it is back."""
        while not self._stopping.is_set():
            try:
                self._look()
                if self._away:
                    self._line("back", "web answers again")
                self._away = False
            except (httpx.HTTPError, EmbeddedError):
                if not self._away:
                    self._line("away", "web does not answer right now; the agents keep what they did")
                self._away = True
            self._stopping.wait(POLL_SECONDS)

    def _look(self) -> None:
        for entry in self._new_entries():
            self._entry(entry)
            self._previous = entry
        if self._entries and time.monotonic() - self._told_at >= SPENT_LINE_SECONDS:
            self._tell_spent()
        self._tell_condition(self._api.get("/api/billing/auto-topup"))

    def _new_entries(self) -> list[dict[str, Any]]:
        """What the ledger has got since the last look, oldest first; nothing at the first one."""
        rows = self._api.transactions()
        new: list[dict[str, Any]] = []
        for row in rows if self._last_id is not None else []:
            if row["id"] == self._last_id:
                break
            new.insert(0, row)
        self._last_id = rows[0]["id"] if rows else ""
        return new

    def _entry(self, entry: dict[str, Any]) -> None:
        if entry["kind"] == "usage":
            self._spent -= Decimal(entry["credits"])
            self._entries += 1
            return
        self._tell_spent()
        if entry["kind"] == "topup":
            self._tell_topup(entry)
        else:
            sign = "" if entry["credits"].startswith("-") else "+"
            self._line(entry["kind"], f"{sign}{entry['credits']} credits", entry["balance_after"])

    def _tell_topup(self, entry: dict[str, Any]) -> None:
        before = self._previous
        took = ""
        if before is not None:
            self._line("threshold", f"reached with {before['balance_after']} credits")
            took = f", {_seconds(before, entry):.1f} s after the debit"
        payments = self._api.get("/api/billing/payments", limit=20)["data"]
        price = next((row["price"] for row in payments if row["id"] == entry["source_id"]), None)
        if price is not None:
            amount = price_text(price)
            self._line("charged", f"{amount} to the saved card, off session")
        self._line("granted", f"{entry['credits']} credits{took}", entry["balance_after"])

    def _tell_spent(self) -> None:
        if self._entries:
            times = "once" if self._entries == 1 else f"{self._entries} times"
            balance = self._previous["balance_after"] if self._previous else None
            unit = "credit" if self._spent == 1 else "credits"
            self._line("spent", f"{self._spent.normalize():f} {unit}, {times}", balance)
        self._spent, self._entries, self._told_at = Decimal(0), 0, time.monotonic()

    def _tell_condition(self, topup: dict[str, Any]) -> None:
        """Say when automatic charges pause, wait or hang, and when they are free again."""
        state = (topup["open_topup"] or {}).get("state")
        hangs = STATES.get(state or "")
        condition = (topup["enabled"], topup["paused_reason"], topup["waiting_reason"], hangs)
        if condition == self._condition:
            return
        first, self._condition = not self._condition, condition
        if not topup["enabled"]:
            self._line("top-up", "is switched off")
        elif topup["paused_reason"]:
            self._line("top-up", f"is paused: {_words(topup['paused_reason'])}")
        elif hangs:
            self._line("top-up", hangs)
        elif topup["waiting_reason"]:
            until = topup["next_attempt_at"]
            when = f" until {_local_time(until)}" if until else ""
            self._line("top-up", f"waits{when}: {_words(topup['waiting_reason'])}; the agents slow down")
        elif not first:
            self._line("top-up", "goes on")

    def _line(self, what: str, text: str, balance: object = None) -> None:
        left = f"{text:<58} balance {balance}" if balance is not None else text
        self._tell(f"{what:<10} {left}")


def _seconds(earlier: dict[str, Any], later: dict[str, Any]) -> float:
    start, end = (dt.datetime.fromisoformat(row["created_at"]) for row in (earlier, later))
    return (end - start).total_seconds()


def _words(reason: str) -> str:
    return reason.replace("_", " ")


def _local_time(moment: str) -> str:
    return dt.datetime.fromisoformat(moment).astimezone().strftime("%H:%M")
