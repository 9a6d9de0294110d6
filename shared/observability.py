"""Logs and Sentry, alike in every process: `configure(settings, process)` once at its start.

One JSON object a line on stderr (a readable line in environment `local` on a terminal). What a
caller passes in `extra` becomes a field. Secrets and card numbers are blanked, in exception texts too.
"""

from __future__ import annotations

import contextvars
import datetime as dt
import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from shared.errors import Refused
from shared.settings import Settings

_context: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("log_context")

_SECRETS: Final = re.compile(
    r"\b(?:sk|rk|pk)_(?:test|live)_[A-Za-z0-9_]{4,}"  # Stripe's API keys
    r"|\brk_[0-9a-f]{16,}"  # ours
    r"|\bwhsec_[A-Za-z0-9+/=_-]{4,}"
    r"|\b(?:pi|seti|cs)_[A-Za-z0-9]+_secret_[A-Za-z0-9_%-]+"
    r"|(?i:\bauthorization['\"]?\s*[:=]\s*['\"]?(?:(?:bearer|basic)\s+)?)[^\s'\",}]+"
    r"|(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"  # the user and password of a URL
)
_DIGITS: Final = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_BLANK: Final = "[redacted]"

# What a LogRecord has of its own; everything else came in `extra`.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


def redact(text: str) -> str:
    """The text without API keys, signing and client secrets, credentials and card numbers."""
    return _DIGITS.sub(_blank_card, _SECRETS.sub(_BLANK, text))


@contextmanager
def log_context(**fields: Any) -> Iterator[None]:
    """Adds fields to every log line of the block."""
    token = _context.set({**_context.get({}), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def replace_log_context(**fields: Any) -> None:
    """The fields of every further log line of this thread, instead of those before."""
    _context.set(fields)


def configure(settings: Settings, process: str) -> None:
    """Sets up logging, and Sentry if SENTRY_DSN is set. Call it before a broker is built."""
    readable = settings.environment == "local" and sys.stderr.isatty()
    handler = logging.StreamHandler()
    handler.setFormatter(ReadableFormatter(process) if readable else JsonFormatter(process))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    # Their information lines tell of single requests, which Refill's own lines do already.
    for name in ("stripe", "httpx", "httpcore", "urllib3"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    # It warns of every attempt to reconnect; the calls that fail meanwhile say the same once each.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    if settings.sentry_dsn is not None:
        _start_sentry(settings, process)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, process, message, the fields of context and caller."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self.process,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(_redacted(line), default=lambda value: redact(str(value)))


class ReadableFormatter(logging.Formatter):
    """A line for people."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        time = dt.datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        fields = "".join(f" {name}={value}" for name, value in fields_of(record).items() if value is not None)
        text = f"{time} {record.levelname:<7} {self.process:<9} {record.getMessage()}{fields}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return redact(text)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The context's fields and what the caller passed in `extra`."""
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {**_context.get({}), **extra}


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _redacted(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(item) for item in value]
    return value


def _blank_card(match: re.Match[str]) -> str:
    """Blanks digits that pass the Luhn check, as every card number does and few other numbers do."""
    digits = [int(character) for character in reversed(match[0]) if character.isdigit()]
    doubled = (d if place % 2 == 0 else d * 2 - 9 * (d > 4) for place, d in enumerate(digits))  # noqa: PLR2004
    return _BLANK if sum(doubled) % 10 == 0 else match[0]


def _start_sentry(settings: Settings, process: str) -> None:
    # Imported here, because it costs every process that runs without it some ten megabytes.
    import sentry_sdk  # noqa: PLC0415
    from sentry_sdk.integrations.dramatiq import DramatiqIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.flask import FlaskIntegration  # noqa: PLC0415

    assert settings.sentry_dsn is not None  # noqa: S101
    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        environment=settings.environment,
        integrations=[FlaskIntegration(), DramatiqIntegration()],
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=before_send,
    )
    sentry_sdk.set_tag("process", process)


def before_send(event: Any, hint: dict[str, Any]) -> Any:
    """What goes to Sentry: no refusals, no secrets, all retries of one actor as one issue.

    Errors that are only logged, a violated invariant say, get there by Sentry's logging integration.
    """
    error = (hint.get("exc_info") or (None, None))[1]
    if isinstance(error, Refused):
        return None
    context = _context.get({})
    if "actor" in context:
        kind = type(error).__name__ if error is not None else "{{ default }}"
        invariant = event.get("extra", {}).get("invariant")
        event["fingerprint"] = [context["actor"], kind, *([str(invariant)] if invariant else [])]
        event.setdefault("tags", {}).update({name: str(value) for name, value in context.items()})
    return _redacted(event)
