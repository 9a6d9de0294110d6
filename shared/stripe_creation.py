"""Checkout Sessions and PaymentIntents, each made once: see shared/stripe_once.py."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import stripe

from shared.stripe_errors import StripeRefused, translated
from shared.stripe_facts import StripeData
from shared.stripe_once import first, once

CHECKOUT_LIFETIME: Final = dt.timedelta(hours=1)
# Stripe wants expires_at at least 30 minutes ahead (docs.stripe.com/api/checkout/sessions/create).
_RENEWAL: Final = dt.timedelta(minutes=25)
_PAGE: Final = 100


def session_end(created_at: str, now: dt.datetime | None = None) -> int:
    """expires_at of a row's Checkout Session, epoch seconds: an hour after the row was written. A row that only now reaches
    Stripe gets more, by steps of 25 minutes, so that repeats within a step send the same.
    """
    opened = dt.datetime.fromisoformat(created_at)
    late = max((now or dt.datetime.now(dt.UTC)) - opened, dt.timedelta())
    return int((opened + CHECKOUT_LIFETIME + _RENEWAL * (late // _RENEWAL)).timestamp())


def age_of(created_at: str) -> dt.timedelta:
    """How old a row is."""
    return dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(created_at)


def create_session(client: stripe.StripeClient, key: str, params: StripeData) -> StripeData:
    """The one Checkout Session of a row, which its client_reference_id names."""

    def create(key: str) -> StripeData:
        given: Any = params
        with translated():
            return client.v1.checkout.sessions.create(given, {"idempotency_key": key}).to_dict()

    def find() -> StripeData | None:
        query: Any = {"customer": params["customer"], "limit": _PAGE}
        with translated():
            return first(
                client.v1.checkout.sessions.list(query).auto_paging_iter(),
                lambda session: (
                    session.get("client_reference_id") == params["client_reference_id"]
                    and session.get("status") != "expired"
                ),
            )

    return once(key, create, lambda: _unless_forgotten(find))


def create_intent(
    client: stripe.StripeClient, key: str, params: StripeData, named: tuple[str, str]
) -> StripeData:
    """The one PaymentIntent of a row. named: the field of its metadata that names the row, and the row's id."""

    def create(key: str) -> StripeData:
        given: Any = params
        with translated():
            return client.v1.payment_intents.create(given, {"idempotency_key": key}).to_dict()

    def find() -> StripeData | None:
        query: Any = {"customer": params["customer"], "limit": _PAGE}
        with translated():
            return first(
                client.v1.payment_intents.list(query).auto_paging_iter(),
                lambda intent: (
                    (intent.get("metadata") or {}).get(named[0]) == named[1]
                    and intent.get("status") != "canceled"
                ),
            )

    return once(key, create, lambda: _unless_forgotten(find))


def _unless_forgotten(find: Any) -> StripeData | None:
    """A customer that does not exist has nothing; the next attempt says so."""
    try:
        found: StripeData | None = find()
    except StripeRefused as error:
        if not error.customer_missing:
            raise
        return None
    return found
