"""Why a payment failed or automatic charges stand still, in words. The codes are Stripe's and the ledger's."""

from __future__ import annotations

_WORDS = {
    # Declines: docs.stripe.com/declines/codes. Of a card that may be stolen nobody is told more than that it was declined.
    "insufficient_funds": "the card has insufficient funds",
    "expired_card": "the card has expired",
    "incorrect_cvc": "the security code of the card is wrong",
    "invalid_cvc": "the security code of the card is wrong",
    "incorrect_number": "the card number is wrong",
    "card_velocity_exceeded": "the card has reached a limit of its bank",
    "withdrawal_count_limit_exceeded": "the card has reached a limit of its bank",
    "processing_error": "the bank could not process it just then",
    "issuer_not_available": "the bank could not be reached",
    "try_again_later": "the bank asks to try again later",
    "currency_not_supported": "the card does not take this currency",
    "card_not_supported": "the card does not take this kind of payment",
    "authentication_required": "the bank wants the card holder to confirm it",
    "payment_intent_authentication_failure": "the card holder did not confirm it",
    # How a purchase ended
    "checkout_expired": "the payment page was left open too long",
    "never_reached_stripe": "it was never begun at Stripe",
    "abandoned": "nobody paid it",
    "automatic": "nobody paid it in time",
    "buyer_turned_back": "you turned back",
    "requested_by_customer": "it was canceled",
    "superseded": "a newer charge took its place",
    "authentication_expired": "nobody confirmed it in time",
    "canceled_at_stripe": "it was canceled at Stripe",
    "intent_missing": "Stripe does not know this charge",
    "stripe_unavailable": "Stripe could not be reached",
    # Why automatic charges stand still
    "card_declined": "the bank declined the card",
    "declined_repeatedly": "the bank declined the card several times",
    "declined": "the bank declined the card; it is tried again later",
    "no_payment_method": "there is no card to charge",
    "payment_method_unusable": "the card cannot be charged any more",
    "customer_deleted": "the customer was deleted at Stripe",
    "package_unavailable": "the package that sets its price is not on sale any more",
    "price_changed": "credits cost more than was agreed to",
    "payment_parked": "a person is looking at a payment that differs from what was ordered",
    "fraud_warning": "a bank warned of fraud with a payment",
    "account_paused": "this account is paused",
    "dispute_open": "a payment is disputed, and the bank has not decided",
    "inquiry_open": "the bank asks about a payment, and has not closed its inquiry",
    "freeze_lifted": "an operator let this account spend again after a freeze",
    "refunded": "a payment was refunded in full",
    "next_spend": "nothing was spent since the credits last went down for another reason",
    "cap_day": "the cap for a day is reached",
    "cap_month": "the cap for a month is reached",
    "cap_per_hour": "the number of charges an hour is reached",
    # Why there is an invoice: Stripe's billing_reason
    "subscription_create": "first cycle",
    "subscription_cycle": "next cycle",
    "subscription_update": "change of plan",
}


def in_words(code: str | None) -> str:
    """The reason behind a code, to follow a colon; a code that nobody foresaw is the bank's plain no."""
    return _WORDS.get(code or "", "the bank declined it")


# What Stripe calls them is written for the seller (docs.stripe.com/api/disputes/object, /api/refunds/object).
_REVERSALS = {
    ("refund", "pending"): "on its way",
    ("refund", "requires_action"): "on its way",
    ("refund", "succeeded"): "the money is on its way to the card",
    ("refund", "failed"): "it did not go through; the credits are back",
    ("refund", "canceled"): "it was called off; the credits are back",
    ("dispute", "won"): "decided: the payment stands and the credits are back",
    ("dispute", "lost"): "decided: the bank gave the money back",
    ("dispute", "warning_closed"): "closed: the payment stands",
    ("dispute", "prevented"): "settled with the bank",
}


def reversal_in_words(kind: str, status: str) -> str:
    """How a refund or a dispute stands, for whoever paid."""
    return _REVERSALS.get((kind, status), "the bank is deciding" if kind == "dispute" else "on its way")
