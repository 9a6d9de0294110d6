"""What a call may raise, in one tree.

RefillError
├── Refused            the service understood and said no; repeating does not help
│   ├── Insufficient   402: no credits, a limit, a run's budget, or a paused account
│   └── Conflict       409: the id was used for something else, or the state does not allow it
├── Unavailable        no answer that tells the outcome, within the call's deadline
└── SpoolFull          no more usage can be kept until the service takes some
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

PAYMENT_REQUIRED = 402
CONFLICT = 409
_BOUNDS = {
    "run": "the budget of this run",
    "department": "the limit of your department",
    "member": "your own limit",
    "agent": "the limit of this agent",
}


class RefillError(Exception):
    """Base of everything that this package raises on purpose."""


class Refused(RefillError):
    """`code` is stable and for programs, `detail` is a sentence, `facts` is the whole answer."""

    def __init__(self, code: str, status: int, detail: str, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.status = status
        self.detail = detail
        self.facts = dict(facts or {})


class Insufficient(Refused):
    """Code insufficient_credits, limit_reached or account_paused, with what the agent's user needs to know."""

    @property
    def binding(self) -> str | None:
        """What refused: balance, run, department, member, agent."""
        return self._text("binding")

    @property
    def needed(self) -> Decimal | None:
        """Credits that this would have taken."""
        return self._credits("needed")

    @property
    def available(self) -> Decimal | None:
        """Credits that the bound leaves."""
        return self._credits("available")

    @property
    def topup(self) -> str | None:
        """The automatic top-up: in_flight means that credits are about to come."""
        return self._text("topup")

    @property
    def purchase_url(self) -> str | None:
        """Where credits are bought."""
        return self._text("purchase_url")

    @property
    def resets_at(self) -> str | None:
        """When the window of the limit starts anew (ISO 8601)."""
        return self._text("resets_at")

    @property
    def hold_id(self) -> str | None:
        """The run whose budget refused."""
        return self._text("hold_id")

    @property
    def scope_id(self) -> str | None:
        """Whose limit refused."""
        return self._text("scope_id")

    @property
    def message(self) -> str:
        """One or two sentences for the agent's end user."""
        if self.code == "account_paused":
            return "This account is paused. Please contact its administrator."
        numbers = ""
        if self.needed is not None and self.available is not None:
            numbers = f" This needs {self.needed:f} credits; {self.available:f} are left."
        if self.code == "limit_reached":
            when = f" It starts anew at {self.resets_at}." if self.resets_at else ""
            return f"This would pass {_BOUNDS.get(self.binding or '', 'a limit')}.{numbers}{when}"
        if self.topup == "in_flight":
            return f"There are not enough credits.{numbers} More are on their way: try again in a moment."
        buy = f" Buy more at {self.purchase_url}" if self.purchase_url else ""
        return f"There are not enough credits.{numbers}{buy}"

    def _text(self, name: str) -> str | None:
        value = self.facts.get(name)
        return None if value is None else str(value)

    def _credits(self, name: str) -> Decimal | None:
        value = self.facts.get(name)
        return None if value is None else Decimal(str(value))


class Conflict(Refused):
    """The id stands for something else already, or the hold is in another state."""


class Unavailable(RefillError):
    """The service cannot be reached or does not answer. `reached`: the request may have been carried out."""

    def __init__(self, detail: str, *, reached: bool = False) -> None:
        super().__init__(detail)
        self.reached = reached


class SpoolFull(RefillError):
    """As much usage waits for the service as was allowed to; this event was not taken."""


def refusal(status: int, facts: Mapping[str, Any]) -> Refused:
    """The error for an answer with a status of 4xx."""
    code = str(facts.get("code") or "http_error")
    kind = {PAYMENT_REQUIRED: Insufficient, CONFLICT: Conflict}.get(status, Refused)
    return kind(code, status, str(facts.get("detail") or f"HTTP status {status}"), facts)
