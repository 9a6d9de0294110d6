"""The few calls that Refill makes to Stripe, and the few ways in which they end.

Built once per process by `make_gateway` and passed in. Answers are plain dicts: StripeObject is no dict since
stripe-python 15, and a plain one has `.get`. Idempotency keys come from shared/keys.py and go in `options`:
inside `params` stripe-python would send them as a body field and use a random key.

A call either answers, or raises one of the errors of shared/stripe_errors.py.
"""

from __future__ import annotations

import itertools
from typing import Any, cast

import stripe

from shared import keys
from shared.models import Payment, Topup
from shared.seals import Sealer
from shared.settings import Settings
from shared.stripe_creation import create_intent, create_session, session_end
from shared.stripe_errors import (
    IDEMPOTENCY_ERROR,
    AuthenticationRequired,
    CardDeclined,
    StripeBusy,
    StripeForbidden,
    StripeRefused,
    translate,
    translated,
)
from shared.stripe_facts import StripeData, id_of
from shared.stripe_once import ATTEMPTS_MAX, first
from shared.stripe_timing import CONNECT_TIMEOUT_SECONDS, NETWORK_RETRIES_MAX, READ_TIMEOUT_SECONDS

__all__ = [
    "AuthenticationRequired",
    "CardDeclined",
    "StripeBusy",
    "StripeData",
    "StripeForbidden",
    "StripeGateway",
    "StripeRefused",
    "make_client",
    "make_gateway",
    "translate",
    "translated",
]


LIST_PAGE = 100
# How far the database's clock and Stripe's may be apart.
CLOCKS_APART_SECONDS = 300
_INTENT_PARTS = ["latest_charge", "payment_method"]
_SESSION_PARTS = ["payment_intent.latest_charge", "payment_intent.payment_method"]


def make_client(settings: Settings) -> stripe.StripeClient:
    """A client of the API version that stripe-python pins, with bounded waits; a connection per thread."""
    assert settings.stripe_secret_key is not None, "Settings requires it"  # noqa: S101
    return stripe.StripeClient(
        settings.stripe_secret_key.get_secret_value(),
        max_network_retries=NETWORK_RETRIES_MAX,
        http_client=stripe.RequestsClient(timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)),
        base_addresses={"api": settings.stripe_api_base} if settings.stripe_api_base else {},
    )


def make_gateway(settings: Settings) -> StripeGateway:
    """The gateway that the settings ask for."""
    return StripeGateway(make_client(settings), Sealer(settings.secret_key.get_secret_value()))


class StripeGateway:
    """Stripe as Refill uses it. Money is in minor units of its currency."""

    def __init__(self, client: stripe.StripeClient, sealer: Sealer) -> None:
        self.client = client
        self.sealer = sealer

    def ensure_customer(self, account_id: str, name: str, email: str | None, *, attempt: int = 1) -> str:
        """The id of the customer that an attempt makes; the same for a repeat with the same name and address. Callers use
        shared.customers.customer_of, which stores what an attempt sends.
        """
        params: StripeData = {"name": name, "metadata": self.sealer.customer_metadata(account_id)}
        if email:
            params["email"] = email
        with translated():
            customer = self.client.v1.customers.create(
                cast("Any", params), {"idempotency_key": keys.customer_create(account_id, attempt)}
            )
        return customer.id

    def find_customer(self, account_id: str, since: int) -> str | None:
        """The account's customer that was made after `since` (epoch seconds) and whose answer was lost, or None.

        Lists are read, not the search, which knows an object a minute later (docs.stripe.com/search).
        """
        query: Any = {"created": {"gte": since - CLOCKS_APART_SECONDS}, "limit": LIST_PAGE}
        with translated():
            found = first(
                self.client.v1.customers.list(query).auto_paging_iter(),
                lambda customer: self.sealer.account_of(customer) == account_id,
            )
        return str(found["id"]) if found else None

    def discard_customer(self, customer_id: str) -> None:
        """Deletes a customer that was made a moment ago beside the one that the account has, and that nobody knows."""
        try:
            with translated():
                self.client.v1.customers.delete(customer_id)
        except StripeRefused as error:
            if not error.customer_missing:
                raise

    def retrieve_customer(self, customer_id: str) -> StripeData:
        """The customer; of a deleted one little more than its id and `deleted`."""
        with translated():
            return self.client.v1.customers.retrieve(customer_id).to_dict()

    def create_checkout_session(
        self, payment: Payment, *, customer_id: str, product_name: str, success_url: str, cancel_url: str
    ) -> StripeData:
        """A hosted Checkout Session for a purchase, with our row's lines; the card is saved for later charges."""
        metadata = self.sealer.metadata_of(payment, payment_id=payment["id"], topup_id=None)
        items: list[StripeData] = [
            {
                "quantity": 1,
                "price_data": {
                    "currency": payment["currency"],
                    "unit_amount": line["amount"],
                    "product_data": {"name": product_name if line["kind"] == "credits" else line["label"]},
                },
            }
            for line in payment["lines"]
        ]
        params: StripeData = {
            **({"allow_promotion_codes": True} if payment.get("allow_promotion_codes") else {}),
            "mode": "payment",
            "ui_mode": "hosted_page",
            "customer": customer_id,
            "client_reference_id": payment["id"],
            "line_items": items,
            # Another presentment currency would make the amount differ from the row's.
            "adaptive_pricing": {"enabled": False},
            "payment_intent_data": {"setup_future_usage": "off_session", "metadata": metadata},
            "metadata": metadata,
            "expires_at": session_end(payment["created_at"]),
            "success_url": success_url,
            "cancel_url": cancel_url,
        }
        return create_session(self.client, keys.checkout_create(payment["id"]), params)

    def retrieve_session(self, session_id: str) -> StripeData:
        """The Checkout Session, with its PaymentIntent, charge and payment method in full."""
        with translated():
            return self.client.v1.checkout.sessions.retrieve(session_id, {"expand": _SESSION_PARTS}).to_dict()

    def session_of_intent(self, intent_id: str) -> StripeData | None:
        """The Checkout Session that a PaymentIntent is of, in full; None when it is of none."""
        with translated():
            found = self.client.v1.checkout.sessions.list({"payment_intent": intent_id, "limit": 1}).data
        return self.retrieve_session(found[0].id) if found else None

    def expire_session(self, session_id: str) -> StripeData:
        """Closes an open Checkout Session; StripeRefused when it is complete or expired."""
        with translated():
            return self.client.v1.checkout.sessions.expire(session_id).to_dict()

    def retrieve_intent(self, intent_id: str) -> StripeData:
        """The PaymentIntent, with its latest charge and payment method in full."""
        with translated():
            return self.client.v1.payment_intents.retrieve(intent_id, {"expand": _INTENT_PARTS}).to_dict()

    def list_reversals(self, intent_id: str) -> StripeData:
        """All refunds and disputes of a PaymentIntent as they are now."""
        query: Any = {"payment_intent": intent_id, "limit": LIST_PAGE}
        with translated():
            refunds = self.client.v1.refunds.list(query).auto_paging_iter()
            disputes = self.client.v1.disputes.list(query).auto_paging_iter()
            return {
                "refunds": [refund.to_dict() for refund in refunds],
                "disputes": [dispute.to_dict() for dispute in disputes],
            }

    def intent_of_charge(self, charge_id: str) -> str | None:
        """The PaymentIntent of a charge; None when it has none."""
        with translated():
            return id_of(self.client.v1.charges.retrieve(charge_id).to_dict().get("payment_intent"))

    def holder_of(self, payment_method_id: str) -> str | None:
        """The customer that a payment method is attached to; None when it is detached or does not exist."""
        try:
            with translated():
                return id_of(
                    self.client.v1.payment_methods.retrieve(payment_method_id).to_dict().get("customer")
                )
        except StripeRefused:
            return None

    def create_topup_intent(self, topup: Topup) -> StripeData:
        """The PaymentIntent of a top-up, unconfirmed: it moves no money and is kept before it may."""
        metadata = self.sealer.metadata_of(topup, payment_id=topup["payment_id"], topup_id=topup["id"])
        params: StripeData = {
            "amount": topup["amount"],
            "currency": topup["currency"],
            "customer": topup["stripe_customer_id"],
            "payment_method": topup["payment_method"],
            # With redirects allowed, confirming may demand a return_url, and nobody is there to return.
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": metadata,
        }
        return create_intent(
            self.client, keys.topup_create(topup["id"]), params, ("refill_topup_id", topup["id"])
        )

    def confirm_topup_intent(self, topup_id: str, intent_id: str) -> StripeData:
        """Charges the saved card off session. A repeat answers what the first one answered, declines too.

        A key that was first used with other parameters, before a release, is given up only when the PaymentIntent was never
        confirmed; StripeRefused payment_intent_unexpected_state when it was.
        """
        for attempt in itertools.count(1):
            try:
                return self._confirm(intent_id, keys.numbered(keys.topup_confirm(topup_id), attempt))
            except StripeRefused as error:
                if error.stripe_code != IDEMPOTENCY_ERROR or attempt >= ATTEMPTS_MAX:
                    raise
            if self.retrieve_intent(intent_id).get("status") != "requires_confirmation":
                raise StripeRefused("it was confirmed before", "payment_intent_unexpected_state", None)
        raise AssertionError("unreachable")

    def _confirm(self, intent_id: str, key: str) -> StripeData:
        with translated():
            return self.client.v1.payment_intents.confirm(
                intent_id, {"off_session": True, "expand": _INTENT_PARTS}, {"idempotency_key": key}
            ).to_dict()

    def cancel_intent(self, intent_id: str) -> StripeData:
        """Cancels a PaymentIntent for good; StripeRefused once it succeeded or was canceled, or is processing.

        Without an idempotency key of its own: a repeat changes nothing, and under a fixed key Stripe would replay a refusal
        for a day although the PaymentIntent can be canceled by then.
        """
        with translated():
            return self.client.v1.payment_intents.cancel(intent_id).to_dict()
