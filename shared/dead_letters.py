"""Messages that were given up, as Dramatiq keeps them in Redis, for operators to put back or to drop.

Dramatiq (2.2.1, brokers/redis/dispatch.lua): `dramatiq:<queue>.XQ` is a sorted set of ids by the time of death in
milliseconds, `dramatiq:<queue>.XQ.msgs` a hash of the messages; `dramatiq:<queue>` is the queue's list of ids and
`dramatiq:<queue>.msgs` their messages. Every change here is one script, so a crash leaves a message in one of the two.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis

from shared.errors import Refused
from shared.queue import QUEUES

NAMESPACE: Final = "dramatiq"
# How many messages that are tried again are read, and how many of them are shown.
SCAN: Final = 500
RETRIED_READ_MAX: Final = 10_000
RETRIED_MAX: Final = 100
_RAISED: Final = re.compile(r"[A-Za-z_][\w.]*(?:: |$)")
# What an earlier life of a message left in its options; with its retries it would be given up at once.
_PAST: Final = ("retries", "traceback", "requeue_timestamp", "eta")
# Only when the dead letter is still the one that was read.
_REQUEUE: Final = """
if redis.call("hget", KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call("hset", KEYS[4], ARGV[1], ARGV[3])
redis.call("rpush", KEYS[3], ARGV[1])
redis.call("zrem", KEYS[1], ARGV[1])
redis.call("hdel", KEYS[2], ARGV[1])
return 1
"""
_DELETE: Final = """
redis.call("zrem", KEYS[1], ARGV[1])
return redis.call("hdel", KEYS[2], ARGV[1])
"""


@dataclass(frozen=True)
class DeadLetter:
    """One message that was given up. actor and reason are None when it is no message of Dramatiq."""

    id: str
    queue: str
    died_at: str
    actor: str | None
    reason: str | None
    """The last line of its traceback."""
    data: bytes


@dataclass(frozen=True)
class Retried:
    """A message that failed and waits for its next try. sent_at, next_at: ISO 8601."""

    id: str
    sent_at: str
    next_at: str
    tries: int
    reason: str


class DeadLetters:
    """The dead letters of every queue of ours."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def all(self, queue: str | None = None) -> list[DeadLetter]:
        """The dead letters of one queue, or of all, the newest first."""
        found = [letter for name in ([queue] if queue else QUEUES) for letter in self._of(name)]
        return sorted(found, key=lambda letter: letter.died_at, reverse=True)

    def retried(self, queue: str) -> list[Retried]:
        """The messages of a queue that failed and are tried again, up to RETRIED_MAX, those with the most tries first."""
        found = [
            _retried(message)
            for _, data in itertools.islice(
                self._client.hscan_iter(f"{NAMESPACE}:{queue}.DQ.msgs", count=SCAN), RETRIED_READ_MAX
            )
            if (message := _decoded(data)) is not None
        ]
        return sorted(found, key=lambda one: one.tries, reverse=True)[:RETRIED_MAX]

    def requeue(self, letter_id: str) -> DeadLetter:
        """Puts the message back on its queue, as if it were new; Refused not_found."""
        letter = self._find(letter_id)
        names = _names(letter.queue)
        moved = self._client.eval(_REQUEUE, 4, *names, letter.id, letter.data, _fresh(letter))
        if not moved:
            raise _unknown(letter_id)
        return letter

    def delete(self, letter_id: str) -> DeadLetter:
        """Drops the message for good; Refused not_found."""
        letter = self._find(letter_id)
        if not self._client.eval(_DELETE, 2, *_names(letter.queue)[:2], letter.id):
            raise _unknown(letter_id)
        return letter

    def _find(self, letter_id: str) -> DeadLetter:
        for letter in self.all():
            if letter.id == letter_id:
                return letter
        raise _unknown(letter_id)

    def _of(self, queue: str) -> list[DeadLetter]:
        ids, messages = _names(queue)[:2]
        found: Any = self._client.zrange(ids, 0, -1, withscores=True)
        data: Any = self._client.hmget(messages, [name for name, _ in found]) if found else []
        return [
            _letter(name.decode(), queue, score, message)
            for (name, score), message in zip(found, data, strict=True)
            if message is not None
        ]


def _retried(message: dict[str, Any]) -> Retried:
    options = message["options"]
    # What was raised first is what failed; the last line is Dramatiq's order to try again.
    lines = [line for line in str(options.get("traceback") or "").splitlines() if _RAISED.match(line)]
    return Retried(
        str(message.get("message_id")),
        _time(message.get("message_timestamp")),
        _time(options.get("eta")),
        int(options.get("retries") or 0),
        lines[0] if lines else "unknown",
    )


def _time(milliseconds: Any) -> str:
    return dt.datetime.fromtimestamp(int(milliseconds or 0) / 1000, dt.UTC).isoformat(timespec="seconds")


def _names(queue: str) -> tuple[str, str, str, str]:
    """Dead ids, dead messages, ids, messages."""
    name = f"{NAMESPACE}:{queue}"
    return f"{name}.XQ", f"{name}.XQ.msgs", name, f"{name}.msgs"


def _letter(letter_id: str, queue: str, died_ms: float, data: bytes) -> DeadLetter:
    message = _decoded(data)
    died_at = dt.datetime.fromtimestamp(died_ms / 1000, dt.UTC).isoformat(timespec="seconds")
    if message is None:
        return DeadLetter(letter_id, queue, died_at, None, None, data)
    trace = str(message["options"].get("traceback") or "").strip()
    return DeadLetter(
        letter_id, queue, died_at, str(message.get("actor_name")), trace.rpartition("\n")[2] or None, data
    )


def _fresh(letter: DeadLetter) -> bytes:
    message = _decoded(letter.data)
    if message is None:
        return letter.data
    options = {name: value for name, value in message["options"].items() if name not in _PAST}
    return json.dumps(message | {"queue_name": letter.queue, "options": options}).encode()


def _decoded(data: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(data)
    except ValueError:
        return None
    fine = isinstance(message, dict) and isinstance(message.get("options"), dict)
    return message if fine else None


def _unknown(letter_id: str) -> Refused:
    return Refused(f"There is no dead letter {letter_id}.", code="not_found", status=404)
