"""What Dramatiq is told to do around every message: log fields, dead letters, undecodable messages."""

from __future__ import annotations

import logging
import re
import threading
import uuid
from typing import Any

import dramatiq
from dramatiq.encoder import JSONEncoder, MessageData
from dramatiq.errors import DecodeError

from shared.observability import replace_log_context

log = logging.getLogger(__name__)

_current = threading.local()

_FIELDS = frozenset(dramatiq.Message.__dataclass_fields__)
_REDIS_ID = re.compile(rb'"redis_message_id"\s*:\s*"([0-9a-f-]{36})"')


class JobContext(dramatiq.Middleware):
    """Puts actor and message on every log line, and reports messages that end in the dead letters.

    Nothing depends on dead letters: what a message asked for stands in a row, which the sweep finds again.
    """

    def before_process_message(self, _broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Names the job in this thread's log lines."""
        subject = message.args[0] if message.args and isinstance(message.args[0], (str, int)) else None
        replace_log_context(actor=message.actor_name, correlation=message.message_id, subject=subject)
        _current.message = message

    def after_process_message(
        self,
        _broker: dramatiq.Broker,
        _message: dramatiq.MessageProxy,
        *,
        result: Any = None,  # noqa: ARG002  # names that Dramatiq passes
        exception: BaseException | None = None,  # noqa: ARG002
    ) -> None:
        """Forgets the job."""
        replace_log_context()
        _current.message = None

    def after_skip_message(self, _broker: dramatiq.Broker, _message: dramatiq.MessageProxy) -> None:
        """Forgets the job."""
        replace_log_context()
        _current.message = None

    def after_nack(self, _broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Reports a message that was given up."""
        log.error(
            "dead letter",
            extra={
                "actor": message.actor_name,
                "queue": message.queue_name,
                "correlation": message.message_id,
            },
        )


def current_options() -> dict[str, Any]:
    """Dramatiq's options of the message that this thread works on: `retries`, `requeue_timestamp` (milliseconds)."""
    message = getattr(_current, "message", None)
    return {} if message is None else dict(message.options)


def current_id() -> str | None:
    """The id of the message that this thread works on."""
    message = getattr(_current, "message", None)
    return None if message is None else str(message.message_id)


class ForgivingEncoder(JSONEncoder):
    """JSON, and a stand-in for what cannot be decoded.

    Without it, one broken message makes the consumer drop every message that it fetched along with it. No
    actor has the stand-in's name, so Dramatiq moves the message to the dead letters, unchanged.
    """

    def decode(self, data: bytes) -> MessageData:
        """The message's fields, or the stand-in's."""
        try:
            fields: Any = super().decode(data)
        except (DecodeError, RecursionError):
            fields = None
        if _is_message(fields):
            return dict(fields)
        log.error("undecodable message on the queue", extra={"length": len(data)})
        return _stand_in(data)


def _is_message(fields: Any) -> bool:
    return (
        isinstance(fields, dict)
        and set(fields) == _FIELDS
        and isinstance(fields["args"], list)
        and isinstance(fields["kwargs"], dict)
        and isinstance(fields["options"], dict)
    )


def _stand_in(data: bytes) -> MessageData:
    found = _REDIS_ID.search(data)
    return {
        "queue_name": "undecodable",
        "actor_name": "undecodable",
        "args": [],
        "kwargs": {},
        "options": {"redis_message_id": found[1].decode() if found else "unknown"},
        "message_id": str(uuid.uuid4()),
        "message_timestamp": 0,
    }
