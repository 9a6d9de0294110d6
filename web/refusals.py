"""Stripe's refusals on a request: what the caller gets, and the notice when only an operator can act."""

from __future__ import annotations

from flask import g

from shared import stripe_notes, stripe_refusals
from shared.errors import RefillError, Refused
from shared.stripe_errors import AuthenticationRequired, CardDeclined, StripeForbidden, StripeRefused
from web.services import services

DEFINITIVE = (StripeRefused, StripeForbidden, CardDeclined, AuthenticationRequired)
"""What a page shows at the place of the action."""
OF_STRIPE = tuple(stripe_refusals.ANSWERS)
"""The codes of Stripe's definitive refusals, on every endpoint that calls Stripe."""
CODES = {CardDeclined.code: CardDeclined.status, AuthenticationRequired.code: AuthenticationRequired.status}


def answered(error: RefillError) -> RefillError:
    """The error that a caller gets for `error`: for a definitive refusal of Stripe a Refused with a code and a sentence,
    and a report to the operators when only they can act; any other error as it is.
    """
    if isinstance(error, AuthenticationRequired):
        return Refused(
            "The bank wants the card holder to confirm this payment. Pay it on the page for that.",
            code=error.code,
            status=error.status,
        )
    if isinstance(error, CardDeclined):
        return Refused(
            "The card was declined. Nothing was charged: use another card.",
            code=error.code,
            status=error.status,
        )
    if not isinstance(error, (StripeRefused, StripeForbidden)):
        return error
    stripe_notes.report(services().ledger, error, g.get("account_id"))
    refusal = error.refusal
    return Refused(refusal.sentence, code=refusal.code, status=refusal.status)
