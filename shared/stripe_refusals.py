"""Stripe's definitive refusals, as Refill words them: the one place that maps what Stripe said to a code and a sentence.

A rule matches by Stripe's code, by the parameter that the refusal names, by the path of the call, or by the sentence where
Stripe has no code (docs.stripe.com/error-codes). The first rule that matches counts. docs/errors.md lists the codes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

PORTAL_PATH: Final = "/v1/billing_portal/sessions"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a caller gets: `code` and HTTP `status`, a sentence that says what to do.

    operator: only whoever runs Refill can act, so a notice goes there.
    """

    code: str
    status: int
    sentence: str
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What Stripe said. path: of the call, where the caller knows it."""

    status: int | None
    code: str | None
    param: str | None
    message: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    refusal: Refusal
    codes: frozenset[str] = frozenset()
    param: str = ""
    path: str = ""
    said: str = ""
    """Regular expressions; empty: any. Of codes, param, path and said all that are given must match."""

    def matches(self, facts: Facts) -> bool:
        return (
            (not self.codes or facts.code in self.codes)
            and (not self.param or re.search(self.param, facts.param or "") is not None)
            and (not self.path or facts.path == self.path)
            and (not self.said or re.search(self.said, facts.message, re.IGNORECASE) is not None)
        )


_NOTIFIED = "The operator of this service has been notified."
KEY_REFUSED: Final = Refusal(
    "stripe_key_refused",
    409,
    f"Stripe does not accept this service's key for this call. Nothing was charged. {_NOTIFIED}",
    operator=True,
)
UNKNOWN: Final = Refusal(
    "stripe_refused", 409, f"Stripe refused this. Nothing was charged. {_NOTIFIED}", operator=True
)
INVALID_EMAIL: Final = Refusal(
    "invalid_email",
    422,
    "Stripe does not accept the account's e-mail address. Correct the address, then try again.",
)
CUSTOMER_MISSING: Final = Refusal(
    "customer_missing", 409, "The account's customer no longer exists at Stripe. Try again."
)
PRICE_UNAVAILABLE: Final = Refusal(
    "price_unavailable",
    409,
    f"Stripe has no usable price for this, so it cannot be bought at the moment. Nothing was charged. {_NOTIFIED}",
    operator=True,
)
PORTAL_NOT_CONFIGURED: Final = Refusal(
    "portal_not_configured",
    409,
    f"Stripe's Billing Portal is not set up for this service yet. {_NOTIFIED}",
    operator=True,
)
AMOUNT_TOO_SMALL: Final = Refusal(
    "amount_too_small",
    422,
    "The amount is below the smallest that Stripe charges in this currency. Buy more at once.",
)
AMOUNT_TOO_LARGE: Final = Refusal(
    "amount_too_large",
    422,
    "The amount is above the largest that Stripe charges in this currency. Buy less at once.",
)
CURRENCY_NOT_SUPPORTED: Final = Refusal(
    "currency_not_supported",
    409,
    f"Stripe does not take payments in this currency for this service. Nothing was charged. {_NOTIFIED}",
    operator=True,
)
CUSTOMER_CURRENCY: Final = Refusal(
    "customer_currency_conflict",
    409,
    "The account already pays Stripe in another currency. Choose a plan in it, or end the subscription in it first.",
)
METHOD_UNUSABLE: Final = Refusal(
    "payment_method_unusable", 422, "Stripe cannot save this payment method. Add another one."
)
METHOD_ELSEWHERE: Final = Refusal(
    "payment_method_in_use",
    409,
    "This payment method belongs to another customer at Stripe. Add the card again, or use another one.",
)
METHOD_MISSING: Final = Refusal(
    "payment_method_missing",
    409,
    "This payment method no longer exists at Stripe. Choose or add another one.",
)
PAYMENT_MISSING: Final = Refusal(
    "payment_not_at_stripe",
    409,
    f"Stripe does not know this payment, so it cannot be paid. {_NOTIFIED}",
    operator=True,
)
ACCOUNT_RESTRICTED: Final = Refusal(
    "stripe_account_restricted",
    409,
    f"Stripe has restricted this service's account, so it takes no payments at the moment. Nothing was charged. {_NOTIFIED}",
    operator=True,
)
PAYMENT_MOVED_ON: Final = Refusal(
    "state_conflict", 409, "The payment is in a state that does not allow this. Look at it again."
)

_MISSING: Final = frozenset({"resource_missing"})
RULES: Final = (
    _Rule(
        KEY_REFUSED,
        frozenset(
            {"api_key_expired", "secret_key_required", "platform_api_key_expired", "livemode_mismatch"}
        ),
    ),
    _Rule(INVALID_EMAIL, frozenset({"email_invalid"})),
    _Rule(INVALID_EMAIL, param=r"(^|_|\[)email\]?$"),
    _Rule(INVALID_EMAIL, said=r"^Invalid email address\b"),
    # Of another mode or another Stripe account: "No such customer: 'cus_1'; a similar object exists in test mode, …".
    _Rule(CUSTOMER_MISSING, _MISSING, param=r"^customer$"),
    _Rule(CUSTOMER_MISSING, _MISSING, said=r"^No such customer\b"),
    _Rule(PRICE_UNAVAILABLE, _MISSING, param=r"(^|\[)(price|product|plan)\]?$"),
    _Rule(PRICE_UNAVAILABLE, _MISSING, said=r"^No such (price|product|plan)\b"),
    _Rule(PRICE_UNAVAILABLE, frozenset({"product_inactive", "sku_inactive"})),
    _Rule(PRICE_UNAVAILABLE, param=r"\[(price|product)\]$"),
    _Rule(PRICE_UNAVAILABLE, said=r"^The (price|product)\b.*\b(inactive|not active)"),
    _Rule(
        PRICE_UNAVAILABLE,
        param=r"^line_items",
        said=r"recurring price|one.time price|in `?subscription`? mode",
    ),
    _Rule(PORTAL_NOT_CONFIGURED, path=PORTAL_PATH, param=r"^configuration$"),
    _Rule(PORTAL_NOT_CONFIGURED, said=r"^No configuration provided|customer portal settings"),
    _Rule(AMOUNT_TOO_SMALL, frozenset({"amount_too_small"})),
    # Recorded: code parameter_invalid_integer, param amount, "… greater than or equal to the minimum charge amount …".
    _Rule(AMOUNT_TOO_SMALL, said=r"minimum charge amount|must (convert|add up) to at least"),
    _Rule(AMOUNT_TOO_LARGE, frozenset({"amount_too_large"})),
    _Rule(AMOUNT_TOO_LARGE, said=r"must be no more than|maximum (charge )?amount"),
    _Rule(
        CUSTOMER_CURRENCY,
        said=r"combine currencies on a single customer|does not match the customer currency",
    ),
    _Rule(CURRENCY_NOT_SUPPORTED, frozenset({"invalid_currency", "currency_not_supported"})),
    _Rule(CURRENCY_NOT_SUPPORTED, param=r"(^|\[)currency\]?$"),
    _Rule(CURRENCY_NOT_SUPPORTED, said=r"^Invalid currency"),
    _Rule(
        METHOD_ELSEWHERE, said=r"already been attached to a(nother)? customer|belongs to a different customer"
    ),
    _Rule(METHOD_ELSEWHERE, said=r"does not belong to the Customer"),
    _Rule(METHOD_UNUSABLE, frozenset({"payment_method_not_available", "payment_method_customer_decline"})),
    _Rule(METHOD_UNUSABLE, said=r"may not be used again|cannot be attached|can.?not be saved"),
    _Rule(METHOD_MISSING, _MISSING, said=r"^No such (payment.?method|source|card)\b"),
    _Rule(METHOD_MISSING, said=r"does not have a payment method with the ID"),
    _Rule(PAYMENT_MISSING, _MISSING, said=r"^No such (payment_intent|checkout.session|setup_intent)\b"),
    _Rule(PAYMENT_MISSING, _MISSING, param=r"^(intent|session|payment_intent)$"),
    _Rule(PAYMENT_MOVED_ON, frozenset({"payment_intent_unexpected_state", "setup_intent_unexpected_state"})),
    _Rule(
        ACCOUNT_RESTRICTED,
        frozenset(
            {
                "account_closed",
                "account_invalid",
                "charge_not_allowed",
                "country_unsupported",
                "not_allowed_on_standard_account",
                "testmode_charges_only",
            }
        ),
    ),
    _Rule(ACCOUNT_RESTRICTED, said=r"^Your account (cannot|can not|is not)|activate your (Stripe )?account"),
)
ANSWERS: Final = {found.code: found for found in (KEY_REFUSED, UNKNOWN, *(rule.refusal for rule in RULES))}
"""Every refusal by its code."""


def refusal_of(facts: Facts) -> Refusal:
    """The refusal for what Stripe said; `stripe_refused` for what no rule knows."""
    return next((rule.refusal for rule in RULES if rule.matches(facts)), UNKNOWN)
