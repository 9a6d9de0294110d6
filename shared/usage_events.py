"""Usage as platforms send it, brought to the one form that the ledger books.

Used by web and by the queue's actor.

Accepted: an event, an array of events, a CloudEvent or an array of CloudEvents (see docs at /docs). A
malformed event is rejected by its place and a code; the others go through. Checks are written by hand: this
runs once an event, 20,000 times a second and more.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from shared import credits
from shared.errors import Refused
from shared.models import Rejected

EVENTS_MAX = 1_000
QUANTITY_MAX = 1_000_000_000
TEXT_MAX = 255
JSON_BYTES_MAX = 8_192
JSON_DEPTH_MAX = 16
CLOUD_EVENT_TYPE = "refill.usage"

_YEARS = range(2000, 2200)
_TEXTS = ("account_id", "action", "agent", "department_id", "member_id", "run_id")
_OBJECTS = ("dimensions", "metadata")
_FIELDS = frozenset(
    ("id", "quantity", "amount", "agent_type", "occurred_at", *_TEXTS, *_OBJECTS),
)
# What CloudEvents may carry around `data`; other names there are extensions, which the standard asks to be
# ignored.
_DATA_FIELDS = _FIELDS - {"id", "occurred_at"}


class _BadEventError(Exception):
    """The event is rejected with this code."""


def normalize_usage(body: Any) -> tuple[list[dict[str, Any]], list[Rejected]]:
    """The events in the ledger's form, in order, and those that are malformed, by their place in the body.

    Absent fields stay absent, so that the same event always has the same fingerprint. Raises Refused for a
    body that is neither an event nor an array of at most EVENTS_MAX events.
    """
    events = [body] if isinstance(body, dict) else body
    if not isinstance(events, list) or not events:
        raise Refused("send one usage event, or an array of 1 to 1,000", code="invalid_request")
    if len(events) > EVENTS_MAX:
        raise Refused(f"at most {EVENTS_MAX:,} events in one call", code="too_many_events")
    good: list[dict[str, Any]] = []
    rejected: list[Rejected] = []
    for index, event in enumerate(events):
        try:
            good.append(_event(event))
        except _BadEventError as bad:
            rejected.append({"index": index, "id": _shown_id(event), "code": str(bad), "parked": False})
    return good, rejected


def _event(raw: Any) -> dict[str, Any]:
    if type(raw) is not dict:
        raise _BadEventError("invalid_event")
    if "specversion" in raw:
        raw = _from_cloud_event(raw)
    if not _FIELDS.issuperset(raw):
        raise _BadEventError("unknown_field")
    event: dict[str, Any] = {"id": _text("id", raw.get("id"))}
    if raw.get("agent_type") is not None:
        raw = _agent_alias(raw)
    for name in _TEXTS:
        value = raw.get(name)
        if value is not None:
            event[name] = _text(name, value)
    _add_price(raw, event)
    for name in _OBJECTS:
        value = raw.get(name)
        if value is not None:
            event[name] = _object(name, value)
    if raw.get("occurred_at") is not None:
        event["occurred_at"] = _time(raw["occurred_at"])
    return event


def _text(name: str, value: Any) -> str:
    if type(value) is not str or not 0 < len(value) <= TEXT_MAX or not value.isprintable():
        raise _BadEventError(f"invalid_{name}")
    return value


def _object(name: str, value: Any) -> dict[str, Any]:
    if not is_small_object(value):
        raise _BadEventError(f"invalid_{name}")
    return value  # type: ignore[no-any-return]  # is_small_object has looked


def _add_price(raw: dict[str, Any], event: dict[str, Any]) -> None:
    """quantity, or amount in micro-credits; one of action and amount says what the event costs."""
    quantity = raw.get("quantity", 1)
    if type(quantity) is not int or not 0 < quantity <= QUANTITY_MAX:
        raise _BadEventError("invalid_quantity")
    event["quantity"] = quantity
    amount = raw.get("amount")
    if amount is not None:
        try:
            event["amount"] = credits.from_json(amount)
        except ValueError:
            raise _BadEventError("invalid_amount") from None
        if event["amount"] == 0:
            raise _BadEventError("invalid_amount")
    elif "action" not in event:
        raise _BadEventError("invalid_action")


def _from_cloud_event(raw: dict[str, Any]) -> dict[str, Any]:
    """CloudEvents 1.0.

    `id` is the dedupe id within the account, `subject` names the account unless `data` does.
    """
    data = raw.get("data")
    if raw["specversion"] != "1.0" or not isinstance(data, dict) or not _DATA_FIELDS.issuperset(data):
        raise _BadEventError("invalid_cloud_event")
    if raw.get("type") != CLOUD_EVENT_TYPE:
        raise _BadEventError("unknown_event_type")
    if not isinstance(raw.get("source"), str) or not raw["source"]:
        raise _BadEventError("invalid_source")
    event = {**data, "id": raw.get("id")}
    if raw.get("subject") is not None and event.get("account_id") is None:
        event["account_id"] = raw["subject"]
    if raw.get("time") is not None:
        event["occurred_at"] = raw["time"]
    return event


def _agent_alias(raw: dict[str, Any]) -> dict[str, Any]:
    if raw.get("agent") not in (None, raw["agent_type"]):
        raise _BadEventError("invalid_agent")
    return {**raw, "agent": raw["agent_type"]}


def _time(value: Any) -> str:
    """RFC 3339 with an offset, rewritten in one form, so that "Z" and "+00:00" are the same event."""
    try:
        parsed = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _BadEventError("invalid_occurred_at") from None
    if parsed.tzinfo is None or parsed.year not in _YEARS:
        raise _BadEventError("invalid_occurred_at")
    return parsed.isoformat()


def is_small_object(value: Any) -> bool:
    """A JSON object that the database takes: bounded in size and depth, no NaN, NUL or lone surrogates."""
    if type(value) is not dict:
        return False
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if len(text.encode()) > JSON_BYTES_MAX:
            return False
    except (ValueError, TypeError, RecursionError):  # UnicodeEncodeError is a ValueError
        return False
    if text.count("{") + text.count("[") > JSON_DEPTH_MAX and _depth(value) > JSON_DEPTH_MAX:
        return False
    return "\\u0000" not in text or not _has_nul(value)


def _depth(value: Any) -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if items is None else 1 + max(map(_depth, items), default=0)


def _has_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
    if isinstance(value, list):
        return any(map(_has_nul, value))
    return isinstance(value, str) and "\0" in value


def _shown_id(event: Any) -> str | None:
    """The id to name a rejected event by, when it has one that can be shown."""
    value = event.get("id") if isinstance(event, dict) else None
    return value if isinstance(value, str) and len(value) <= TEXT_MAX and value.isprintable() else None
