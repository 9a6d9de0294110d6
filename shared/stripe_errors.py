"""How a call to Stripe may fail, and what stripe-python raises turned into that.

CardDeclined, AuthenticationRequired   the card said no; no money has moved
StripeRefused                          Stripe understood and refused; repeating does not help
StripeBusy                             this request was not executed; the same one may be sent later
StripeForbidden                        the same, once an operator has corrected the key or its permissions
errors.StripeUnavailable               the outcome is unknown: ask for the object, send nothing new
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import stripe

from shared import stripe_refusals
from shared.errors import RefillError, StripeUnavailable, Transient
from shared.stripe_facts import StripeData
from shared.stripe_refusals import Refusal

log = logging.getLogger(__name__)

# What a card that wants its holder answers off session, by docs.stripe.com/declines/codes.
_AUTHENTICATION = frozenset({"authentication_required", "authentication_not_handled"})
_BUSY = frozenset({"lock_timeout", "rate_limit", "idempotency_key_in_use"})
IDEMPOTENCY_ERROR = "idempotency_error"
"""The code of a StripeRefused whose idempotency key was first used with other parameters."""


class CardDeclined(RefillError):
    """The card was declined. Codes are Stripe's (docs.stripe.com/declines); payment_intent as it stands."""

    code = "card_declined"
    status = 402

    def __init__(
        self, decline_code: str | None, advice_code: str | None, payment_intent: StripeData | None
    ) -> None:
        super().__init__(f"the card was declined: {decline_code}")
        self.decline_code = decline_code
        self.advice_code = advice_code
        self.payment_intent = payment_intent


class AuthenticationRequired(RefillError):
    """The bank wants the card holder (3-D Secure): a person may confirm the same PaymentIntent on session."""

    code = "authentication_required"
    status = 402

    def __init__(self, payment_intent: StripeData | None) -> None:
        super().__init__("the bank asks the card holder to confirm the payment")
        self.payment_intent = payment_intent


class StripeBusy(Transient):
    """429, lock time-out, idempotency key in use: this request was not executed."""

    code = "stripe_busy"


class StripeForbidden(StripeBusy):
    """401 or 403: Stripe does not accept STRIPE_SECRET_KEY, or the key lacks a permission; the request was not executed.

    What waits for it goes on once an operator has corrected that. `message` is Stripe's.
    """

    code = stripe_refusals.KEY_REFUSED.code

    def __init__(
        self,
        message: str,
        stripe_code: str | None = None,
        *,
        request_id: str | None = None,
        path: str = "",
    ) -> None:
        super().__init__("Stripe does not accept the key for this call")
        self.message, self.stripe_code, self.param = message, stripe_code, None
        self.request_id, self.path = request_id, path

    @property
    def refusal(self) -> Refusal:
        """Its code and sentence for callers."""
        return stripe_refusals.KEY_REFUSED


class StripeRefused(RefillError):
    """A definitive refusal. `message` is Stripe's, `stripe_code` its code or None, `param` the field, `path` that of the
    call where it is known. Callers of the API get `refusal`.
    """

    code = stripe_refusals.UNKNOWN.code
    status = stripe_refusals.UNKNOWN.status

    def __init__(
        self,
        message: str,
        stripe_code: str | None,
        param: str | None,
        *,
        request_id: str | None = None,
        path: str = "",
        http_status: int | None = None,
        replayed: bool = False,
    ) -> None:
        super().__init__(message)
        self.message, self.stripe_code, self.param = message, stripe_code, param
        self.request_id, self.path, self.http_status = request_id, path, http_status
        self.replayed = replayed
        """Stripe answered from what it saved under the idempotency key, and looked at nothing."""

    @property
    def refusal(self) -> Refusal:
        """Its code and sentence for callers."""
        return stripe_refusals.refusal_of(
            stripe_refusals.Facts(self.http_status, self.stripe_code, self.param, self.message, self.path)
        )

    @property
    def customer_missing(self) -> bool:
        """Whether the customer that the call named does not exist: deleted, of another mode or of another Stripe account."""
        return self.refusal is stripe_refusals.CUSTOMER_MISSING


@contextmanager
def translated(path: str = "") -> Iterator[None]:
    """Turns what stripe-python raises into the errors of this module. path: of the call, where a refusal needs it."""
    try:
        yield
    except stripe.StripeError as error:
        raise translate(error, path) from error


def translate(error: stripe.StripeError, path: str = "") -> RefillError:
    """The one of the six errors above that a stripe-python exception stands for.

    Status and body decide, not the class: 409 arrives as APIError, and RateLimitError has no code itself.
    """
    body = _error_body(error)
    code, status = body.get("code"), error.http_status
    if status == 402:  # noqa: PLR2004
        return _declined(body)
    if status in (409, 429) or code in _BUSY or isinstance(error, stripe.RateLimitError):
        return StripeBusy(f"Stripe is busy: {code or status}")
    message = body.get("message") or "refused by Stripe"
    if status in (401, 403):
        log.error("Stripe does not accept STRIPE_SECRET_KEY for this call", extra={"status": status})
        return StripeForbidden(message, code, request_id=error.request_id, path=path)
    if isinstance(error, stripe.IdempotencyError):
        code = IDEMPOTENCY_ERROR
    # A saved 4xx or 5xx is replayed for the same key for a day: then repeating the call tells nothing new.
    replayed = str((error.headers or {}).get("idempotent-replayed", "")).lower() == "true"
    if status is not None and 400 <= status < 500:  # noqa: PLR2004
        return StripeRefused(
            message,
            code,
            body.get("param"),
            request_id=error.request_id,
            path=path,
            http_status=status,
            replayed=replayed,
        )
    return StripeUnavailable("Stripe gave no answer that tells the outcome", replayed=replayed)


def _declined(body: StripeData) -> RefillError:
    code = body.get("decline_code") or body.get("code")
    intent = body.get("payment_intent")
    if code in _AUTHENTICATION or body.get("code") in _AUTHENTICATION:
        return AuthenticationRequired(intent)
    return CardDeclined(code, body.get("advice_code"), intent)


def _error_body(error: stripe.StripeError) -> StripeData:
    body = error.json_body
    found = body.get("error") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}
