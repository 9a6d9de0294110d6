"""Calls without I/O: a flow yields what is to be sent or waited for and is sent what came of it.

One flow serves both clients; `_transport` drives it with httpx, with threads or with asyncio.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from refill.errors import Unavailable, refusal

T = TypeVar("T")
BAD_REQUEST = 400
# Asked for again: these say nothing about the request itself.
AGAIN = frozenset({408, 425, 429}) | frozenset(range(500, 600))


@dataclass(frozen=True)
class Send:
    """A request to make. Repeats carry the same bytes."""

    method: str
    path: str
    body: bytes | None
    timeout: float


@dataclass(frozen=True)
class Wait:
    """A pause to make."""

    seconds: float


@dataclass(frozen=True)
class Answer:
    """What the service answered. `data` is None when it was not JSON."""

    status: int
    data: Any
    retry_after: float | None = None


@dataclass(frozen=True)
class Failure:
    """There was no answer. reached: the service may have got the request."""

    detail: str
    reached: bool


Flow = Generator[Send | Wait, Answer | Failure | None, T]


@dataclass(frozen=True)
class Policy:
    """How long to wait and how often to ask again, in seconds. timeout: an attempt; deadline: a call in all."""

    timeout: float = 10.0
    deadline: float = 30.0
    first_wait: float = 0.1
    longest_wait: float = 5.0
    clock: Callable[[], float] = time.monotonic

    def wait(self, attempt: int, retry_after: float | None = None) -> float:
        """Growing, with jitter, so that many clients do not come back at once; never less than Retry-After."""
        grown = min(self.longest_wait, self.first_wait * 2.0 ** min(attempt, 30))
        return max(retry_after or 0.0, grown * random.uniform(0.5, 1.0))  # noqa: S311 - no secret


def dump(body: Any) -> bytes:
    """JSON as it goes out."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def call(
    policy: Policy,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    deadline: float | None = None,
) -> Flow[Any]:
    """One call with its repeats. Raises Refused for 4xx; Unavailable when its deadline is over without an answer."""
    end = policy.clock() + (policy.deadline if deadline is None else deadline)
    content = None if body is None else dump(body)
    reached, attempt = False, 0
    while True:
        timeout = max(0.05, min(policy.timeout, end - policy.clock()))
        answer = yield Send(method, path, content, timeout)
        retry_after = None
        if isinstance(answer, Answer):
            if answer.status < BAD_REQUEST and answer.data is not None:
                return answer.data
            if answer.status >= BAD_REQUEST and answer.status not in AGAIN:
                raise refusal(answer.status, answer.data if isinstance(answer.data, dict) else {})
            detail, retry_after = f"HTTP status {answer.status}", answer.retry_after
            reached = True
        else:
            assert answer is not None  # noqa: S101 - a Send is never answered with nothing
            detail = answer.detail
            reached = reached or answer.reached
        wait = policy.wait(attempt, retry_after)
        attempt += 1
        if policy.clock() + wait >= end:
            raise Unavailable(f"{method} {path}: {detail}, after {attempt} attempts", reached=reached)
        yield Wait(wait)
