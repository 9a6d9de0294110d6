"""Every error that Refill raises on purpose, in one tree.

RefillError                      has a stable `code`, an HTTP `status`, a sentence for people, and `extra` facts
├── Refused                      the caller must change something; repeating does not help; never an alarm
│   └── one instance per SQLSTATE of class RF (see REFUSALS)
├── Transient                    repeating later may help
│   ├── DatabaseUnavailable      PostgreSQL or PostgREST is away, too slow, read-only, or fails
│   ├── QueueUnavailable         Redis is away; nothing is lost, the sweep takes over
│   └── StripeUnavailable        Stripe did not answer, or answered 429 or 5xx
└── SettingsError                the process may not start; the sentence says what to set

The functions in sql/ raise SQLSTATEs of class RF; `from_sqlstate` turns them into Refused.
"""

from __future__ import annotations

from typing import Any


class RefillError(Exception):
    """Base: `code` is stable and for programs, `detail` is a sentence for people, `extra` goes into the answer."""

    code = "internal_error"
    status = 500

    def __init__(
        self, detail: str, *, code: str | None = None, status: int | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.status = status or self.status
        self.extra = extra


class Refused(RefillError):
    """The request is understood and refused; nothing has changed."""

    code = "invalid_request"
    status = 422


class Transient(RefillError):
    """Something that Refill depends on is away; the same call may succeed later."""

    code = "unavailable"
    status = 503


class DatabaseUnavailable(Transient):
    """PostgreSQL (or PostgREST) cannot be reached, gave no answer in time, or failed for a reason that is not the caller's.

    `sqlstate` and `message` are the database's own, for logs; None and empty when there was no answer.
    """

    code = "database_unavailable"
    sqlstate: str | None = None
    message = ""


class QueueUnavailable(Transient):
    """Redis cannot be reached. What was to be enqueued stands in a table, and the sweep finds it."""

    code = "queue_unavailable"


class StripeUnavailable(Transient):
    """Stripe gave no answer that tells the outcome."""

    code = "stripe_unavailable"


class SettingsError(RefillError):
    """A setting is missing, wrong or contradicts another one; the message names it."""

    code = "settings"


# SQLSTATE -> (code, HTTP status). The one list of refusals that sql/functions may raise; a test compares the two.
REFUSALS: dict[str, tuple[str, int]] = {
    "RF001": ("unknown_account", 404),
    "RF002": ("insufficient_credits", 402),
    "RF003": ("limit_reached", 402),
    "RF004": ("account_paused", 402),
    "RF005": ("idempotency_conflict", 409),
    "RF006": ("unknown_action", 422),
    "RF007": ("unknown_package", 404),
    "RF008": ("invalid_value", 422),
    "RF009": ("not_found", 404),
    "RF010": ("state_conflict", 409),
    "RF011": ("topup_in_flight", 409),
    "RF012": ("invalid_auto_topup", 422),
    "RF014": ("consent_required", 422),
    "RF015": ("append_only", 409),
    "RF016": ("unknown_model", 422),
    "RF017": ("unknown_dimension", 422),
    "RF018": ("price_change_too_large", 422),
    "RF019": ("plan_price_mismatch", 409),
}


def from_sqlstate(sqlstate: str, message: str, extra: dict[str, Any] | None = None) -> Refused | None:
    """The refusal that a SQL function raised, or None when the SQLSTATE is not one of ours."""
    known = REFUSALS.get(sqlstate)
    if known is None:
        return None
    code, status = known
    return Refused(message, code=code, status=status, **(extra or {}))
