"""The calls to Stripe about saved payment methods, and about purchases that are paid in the platform's own page.

Answers and errors are those of shared.stripe_client. Client secrets go to whoever asked, and are never logged.
"""

from __future__ import annotations

from typing import Any

import stripe

from shared import keys
from shared.errors import StripeUnavailable
from shared.ledger import Ledger
from shared.models import CardReading, Payment
from shared.stripe_creation import create_intent
from shared.stripe_errors import StripeRefused, translated
from shared.stripe_facts import StripeData, facts_of_method, id_of
from shared.stripe_once import once
from shared.stripe_refusals import PORTAL_PATH

READINGS_MAX = 5
METHODS_PAGE = 100
# With redirects allowed, a payment method may be saved that cannot be charged when nobody is there.
_NO_REDIRECTS = {"enabled": True, "allow_redirects": "never"}


class CardGateway:
    """Saved payment methods at Stripe, over the client of a StripeGateway."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self.client = client

    def create_setup_intent(self, account_id: str, customer_id: str, request_id: str) -> StripeData:
        """A SetupIntent by which a browser saves a card for off-session charges; the same for a repeat of the request."""
        params: Any = {
            "customer": customer_id,
            "usage": "off_session",
            "automatic_payment_methods": _NO_REDIRECTS,
            "metadata": {"refill_account_id": account_id},
        }

        def create(key: str) -> StripeData:
            with translated():
                return self.client.v1.setup_intents.create(params, {"idempotency_key": key}).to_dict()

        # One whose answer was lost moves no money and saves no card: it is left alone.
        return once(keys.setup_create(request_id), create, lambda: None)

    def retrieve_setup_intent(self, intent_id: str) -> StripeData:
        """The SetupIntent as it is now."""
        with translated():
            return self.client.v1.setup_intents.retrieve(intent_id).to_dict()

    def create_purchase_intent(
        self, payment: Payment, *, customer_id: str, description: str, metadata: dict[str, str]
    ) -> StripeData:
        """The PaymentIntent of a purchase, at our row's amount; the card is saved for later charges. metadata: sealed."""
        params: Any = {
            "amount": payment["amount"],
            "currency": payment["currency"],
            "customer": customer_id,
            "description": description,
            "setup_future_usage": "off_session",
            "automatic_payment_methods": _NO_REDIRECTS,
            "metadata": metadata,
        }
        named = ("refill_payment_id", payment["id"])
        return create_intent(self.client, keys.purchase_create(payment["id"]), params, named)

    def create_portal_session(self, customer_id: str, return_url: str) -> StripeData:
        """A session of Stripe's Billing Portal; its `url` opens it for a few minutes."""
        with translated(PORTAL_PATH):
            params: Any = {"customer": customer_id, "return_url": return_url}
            return self.client.v1.billing_portal.sessions.create(params).to_dict()

    def holder_of(self, method_id: str) -> str | None:
        """The customer that a payment method is attached to; None when detached or unknown to Stripe."""
        try:
            with translated():
                method = self.client.v1.payment_methods.retrieve(method_id).to_dict()
        except StripeRefused:
            return None
        return id_of(method.get("customer"))

    def set_default(self, customer_id: str, method_id: str) -> None:
        """Makes an attached payment method the customer's default at Stripe."""
        with translated():
            params: Any = {"invoice_settings": {"default_payment_method": method_id}}
            self.client.v1.customers.update(customer_id, params)

    def detach(self, method_id: str) -> None:
        """Detaches a payment method for good; StripeRefused when it was detached already."""
        with translated():
            self.client.v1.payment_methods.detach(method_id)

    def read_cards(self, customer_id: str) -> StripeData | None:
        """The facts for ledger.mirror_cards: cards and the customer's default; None when Stripe deleted the customer."""
        with translated():
            customer = self.client.v1.customers.retrieve(customer_id).to_dict()
            if customer.get("deleted"):
                return None
            listed = self.client.v1.customers.payment_methods.list(customer_id, {"limit": METHODS_PAGE})
            return {
                "cards": [facts_of_method(method.to_dict()) for method in listed.auto_paging_iter()],
                "default": id_of((customer.get("invoice_settings") or {}).get("default_payment_method")),
            }


def follow(
    ledger: Ledger,
    gateway: CardGateway,
    account_id: str,
    actor: str,
    *,
    adopt: bool = False,
    added: str | None = None,
) -> bool:
    """Brings the books to the customer's cards at Stripe; answers whether a top-up is due now.

    A customer that Stripe does not know any more is forgotten, with its cards.

    adopt: somebody has just chosen Stripe's default. added: what a SetupIntent of ours saved. Somebody else's reading in
    between makes ours old: then both are read again.
    """
    for _ in range(READINGS_MAX):
        customer = ledger.get_customer(account_id)
        if customer is None or customer["deleted"]:
            return False
        try:
            facts = gateway.read_cards(customer["stripe_customer_id"])
        except StripeRefused as error:
            if not error.customer_missing:
                raise
            facts = None
        if facts is None:
            ledger.forget_customer(customer["stripe_customer_id"])
            return False
        reading: CardReading = ledger.mirror_cards(
            account_id,
            customer["stripe_customer_id"],
            customer["cards_version"],
            {**facts, "adopt": adopt, "added": added},
            actor,
        )
        if reading["outcome"] == "mirrored":
            return reading["topup_due"]
    raise StripeUnavailable("the customer's cards kept changing while they were read; try again")
