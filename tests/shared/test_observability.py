"""Logs: one JSON object a line, and no secret in any of them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from shared import observability
from shared.errors import Refused


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(observability.JsonFormatter("tests"))
    logger = logging.getLogger("observability.test")
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield stream
    logger.removeHandler(handler)


log = logging.getLogger("observability.test")


def only(lines: io.StringIO) -> dict[str, Any]:
    found = json.loads(lines.getvalue())
    assert isinstance(found, dict)
    return found


def test_a_line_has_message_context_and_extras(lines: io.StringIO) -> None:
    with observability.log_context(event="evt_1", actor="process_event"):
        log.info("done in %d ms", 7, extra={"account": "acct_1", "reason": None})
    line = only(lines)
    assert {
        name: line[name] for name in ("level", "process", "message", "event", "actor", "account", "reason")
    } == {
        "level": "info",
        "process": "tests",
        "message": "done in 7 ms",
        "event": "evt_1",
        "actor": "process_event",
        "account": "acct_1",
        "reason": None,
    }


def test_context_ends_with_its_block(lines: io.StringIO) -> None:
    with observability.log_context(event="evt_1"):
        pass
    log.info("after")
    assert "event" not in only(lines)


SECRETS = [
    "sk_test_51Habcdef",
    "sk_live_51Habcdef",
    "rk_live_51Habcdef",
    "rk_0123456789abcdef0123456789abcdef0123456789abcdef",
    "whsec_abcDEF123+/=",
    "pi_3Nabc_secret_XyZ123",
    "seti_1Nabc_secret_XyZ123",
    "4242424242424242",
    "4242 4242 4242 4242",
    "4000-0027-6000-3184",
    "378282246310005",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_blanked_everywhere(lines: io.StringIO, secret: str) -> None:
    try:
        int(f"bad {secret}!")
    except ValueError:
        log.exception("saw %s", secret, extra={"deep": {"list": [secret]}, "object": ValueError(secret)})
    assert secret not in lines.getvalue()
    assert lines.getvalue().count("[redacted]") >= 4


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer eyJhbGciOi.abc.def",
        "{'Authorization': 'Basic dXNlcjpwYXNz'}",
        "bearer eyJhbGciOi.abc.def",
        "postgresql://refill:hunter22@db/refill",
        "redis://:hunter22@localhost/0",
    ],
)
def test_credentials_are_blanked(text: str) -> None:
    redacted = observability.redact(text)
    assert not any(part in redacted for part in ("eyJ", "dXNl", "hunter22"))


@pytest.mark.parametrize(
    "text",
    [
        "pay_0123456789abcdef0123456789abcdef",
        "pi_3Nabc",
        "4242424242424241",
        "2026-11-20T20:35:01.123456+00:00",
        "12500000 micro-credits",
        "https://stripe.com/docs",
    ],
)
def test_ids_amounts_and_times_stay(text: str) -> None:
    assert observability.redact(text) == text


def test_odd_values_do_not_break_a_line(lines: io.StringIO) -> None:
    log.info("odd", extra={"raw": b"\xff", "many": (1, {2}), "lone": "\ud800"})
    assert only(lines)["message"] == "odd"


def test_a_line_for_people_is_one_line(lines: io.StringIO) -> None:
    record = logging.makeLogRecord(
        {"msg": "charged", "levelno": 20, "levelname": "INFO", "account": "acct_1"}
    )
    text = observability.ReadableFormatter("payments").format(record)
    assert text.endswith("INFO    payments  charged account=acct_1")


def test_refusals_never_reach_sentry() -> None:
    error = Refused("no")
    assert observability.before_send({}, {"exc_info": (Refused, error, None)}) is None


def test_retries_of_one_actor_are_one_issue_without_secrets() -> None:
    error = ValueError("x")
    with observability.log_context(actor="charge_topup", correlation="m1"):
        event = observability.before_send(
            {"message": "sk_test_51Habcdef"}, {"exc_info": (ValueError, error, None)}
        )
    assert event["fingerprint"] == ["charge_topup", "ValueError"]
    assert event["tags"]["correlation"] == "m1"
    assert "sk_test" not in event["message"]
