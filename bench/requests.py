"""The requests that the load generator sends: new ids every time, webhooks really signed."""

from __future__ import annotations

import hmac
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.database import MODELS, TOKEN_PRICES

BATCH = 1_000
_EVENT_ID = "evt_ID_COMES_HERE"


def _http(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _new_ids() -> Iterator[str]:
    """Distinct from those of every other generator, and rising."""
    prefix = f"{time.time_ns():x}{os.getpid():x}"
    number = 0
    while True:
        number += 1
        yield f"{prefix}{number:08}"


def bare(_secret: str, _accounts: int) -> Iterator[bytes]:
    """An empty request."""
    request = _http("GET", "/")
    while True:
        yield request


def spend(key: str, accounts: int) -> Iterator[bytes]:
    """Spends of one message by one of the accounts."""
    authorization = f"Authorization: Bearer {key}"
    for new_id in _new_ids():
        body = json.dumps(
            {"account_id": f"bench_{random.randint(1, accounts)}", "id": new_id, "action": "message"}
        )
        yield _http("POST", "/api/credits/use", body.encode(), authorization)


def usage(key: str, accounts: int) -> Iterator[bytes]:
    """Batches of 1,000 usage events over all accounts."""
    for events in _batches(accounts):
        yield _usage(key, events)


def metered(key: str, accounts: int) -> Iterator[bytes]:
    """The same as calls of a model, counted in tokens."""
    for events in _batches(accounts):
        for event in events:
            tokens = {name: random.randint(1, 5_000) for name in TOKEN_PRICES}
            event |= {"action": "llm", "dimensions": {"model": random.choice(MODELS), **tokens}}
        yield _usage(key, events)


def _usage(key: str, events: list[dict[str, Any]]) -> bytes:
    authorization = f"Authorization: Bearer {key}"
    return _http("POST", "/api/credits/usage", json.dumps(events).encode(), authorization)


def _batches(accounts: int) -> Iterator[list[dict[str, Any]]]:
    ids = _new_ids()
    while True:
        yield [
            {
                "id": next(ids),
                "account_id": f"bench_{random.randint(1, accounts)}",
                "action": "message",
                "quantity": 1,
                "agent": "researcher",
                "run_id": f"run_{number // 50}",
            }
            for number in range(BATCH)
        ]


def webhook(secret: str, _accounts: int) -> Iterator[bytes]:
    """Distinct events, each signed as Stripe does."""
    before, after = json.dumps(_event(), indent=2).encode().split(_EVENT_ID.encode())
    for new_id in _new_ids():
        body = before + b"evt_" + new_id.encode() + after
        timestamp = str(int(time.time()))
        signature = hmac.digest(secret.encode(), timestamp.encode() + b"." + body, "sha256").hex()
        yield _http("POST", "/api/webhooks/stripe", body, f"Stripe-Signature: t={timestamp},v1={signature}")


def _event() -> dict[str, Any]:
    """An event of Stripe's usual size, about a payment that is not ours."""
    intent = {
        "id": "pi_3Qbench000000000000000001",
        "object": "payment_intent",
        "amount": 2000,
        "amount_received": 2000,
        "currency": "usd",
        "customer": "cus_bench000000001",
        "description": "A payment of another product of the same Stripe account",
        "latest_charge": "ch_3Qbench000000000000000001",
        "livemode": False,
        "metadata": {f"note_{number}": "what the other product wrote down" for number in range(20)},
        "payment_method": "pm_1Qbench000000000000000001",
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "status": "succeeded",
        "statement_descriptor": None,
        "transfer_data": None,
    }
    return {
        "id": _EVENT_ID,
        "object": "event",
        "api_version": "2026-10-28.dahlia",
        "created": int(time.time()),
        "data": {"object": intent},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": "req_bench000000001", "idempotency_key": None},
        "type": "payment_intent.succeeded",
    }


KINDS: dict[str, Callable[[str, int], Iterator[bytes]]] = {
    "bare": bare,
    "spend": spend,
    "usage": usage,
    "metered": metered,
    "webhook": webhook,
}
