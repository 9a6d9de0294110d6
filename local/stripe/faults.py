"""Faults that a test asks for: requests that fail before or after they were executed, and latency by path.

A rule is `{"method", "path", "kind", "stage", "times", "seconds", "saved"}`. `path` is a shell pattern.
`kind` is a status (4xx or 5xx), `"timeout"` (hang `seconds`, then drop), `"cut"` (drop at once),
`"lock_timeout"` (429), `"rate_limit"` (429) or `"conflict"` (409). `stage` is `before` (nothing happens;
the default) or `after` (done, but the caller never learns). `saved`: whether the idempotency key keeps the
faulty answer; the default is what Stripe does: a 5xx after execution is kept, anything before execution is
not. A 4xx carries `code`, `param`, `message` and `type` if they are given, and is kept by no key.
"""

from __future__ import annotations

import fnmatch
import threading
from dataclasses import asdict, dataclass
from typing import Any

from local.stripe.errors import StripeError, key_in_use, lock_timeout

_STATUSES = range(400, 600)
_NAMED = ("timeout", "cut", "lock_timeout", "rate_limit", "conflict")


@dataclass
class Fault:
    """One rule; it is spent after `times` calls (None: until cleared)."""

    kind: int | str = 500
    method: str = "*"
    path: str = "*"
    stage: str = "before"
    times: int | None = 1
    seconds: float = 30.0
    saved: bool | None = None
    code: str | None = None
    param: str | None = None
    message: str | None = None
    type: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in _NAMED and self.kind not in _STATUSES:
            raise ValueError(f"kind must be a 4xx or 5xx status or one of {', '.join(_NAMED)}")
        if self.stage not in ("before", "after"):
            raise ValueError("stage must be before or after")

    @property
    def drops(self) -> bool:
        return self.kind in ("timeout", "cut")

    def error(self) -> StripeError:
        """What the caller gets, when it gets an answer at all."""
        if self.kind == "lock_timeout":
            return lock_timeout()
        if self.kind == "rate_limit":
            return StripeError(429, "Too many requests hit the API too quickly.", code="rate_limit")
        if self.kind == "conflict":
            return key_in_use("(fault)")
        if int(self.kind) < 500:  # noqa: PLR2004
            return StripeError(
                int(self.kind),
                self.message or "The local Stripe was told to refuse this.",
                self.type or "invalid_request_error",
                code=self.code,
                param=self.param,
            )
        text = "An unknown error occurred. If you keep seeing this, the local Stripe was told to."
        return StripeError(int(self.kind), text, "api_error")


@dataclass(frozen=True)
class Latency:
    """Every matching request takes this much longer, while it holds its object."""

    path: str
    seconds: float
    method: str = "*"


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []
        self._latencies: list[Latency] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._rules.append(fault)

    def add_latency(self, latency: Latency) -> None:
        """A later rule for the same method and path replaces the earlier; 0 removes it."""
        with self._lock:
            same = (latency.method, latency.path)
            self._latencies = [rule for rule in self._latencies if (rule.method, rule.path) != same]
            if latency.seconds > 0:
                self._latencies.append(latency)

    def take(self, method: str, path: str) -> Fault | None:
        """The first rule that matches this request, counted down."""
        with self._lock:
            for rule in self._rules:
                if _matches(rule, method, path):
                    if rule.times is not None:
                        rule.times -= 1
                        if rule.times <= 0:
                            self._rules.remove(rule)
                    return rule
        return None

    def latency(self, method: str, path: str) -> float:
        with self._lock:
            return sum(rule.seconds for rule in self._latencies if _matches(rule, method, path))

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()
            self._latencies.clear()

    def describe(self) -> dict[str, Any]:
        with self._lock:
            return {
                "faults": [asdict(rule) for rule in self._rules],
                "latencies": [asdict(rule) for rule in self._latencies],
            }


def _matches(rule: Fault | Latency, method: str, path: str) -> bool:
    return rule.method.lower() in ("*", method.lower()) and fnmatch.fnmatchcase(path, rule.path)
