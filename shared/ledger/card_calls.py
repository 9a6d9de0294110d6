"""Customers' saved payment methods, and purchases paid in the platform's own page. See shared.ledger."""

from __future__ import annotations

from typing import Any

from shared.db import Json
from shared.ledger.calls import Calls
from shared.models import CardReading, Payment, PaymentMethod


class CardCalls(Calls):
    """Saved payment methods."""

    def list_payment_methods(self, account_id: str) -> list[PaymentMethod]:
        """What is attached to the account's customer, the default first. Refused unknown_account."""
        return self._call("list_payment_methods", p_account_id=account_id)

    def find_card_owner(self, stripe_id: str) -> str | None:
        """The account of a Stripe customer (cus_…) or of a payment method (pm_…) that it has or had, or None."""
        return self._call("find_card_owner", p_stripe_id=stripe_id)

    def mirror_cards(
        self, account_id: str, customer_id: str, version: int, facts: dict[str, Any], actor: str
    ) -> CardReading:
        """Writes what Stripe says of a customer's payment methods now, and what it means for automatic charges.

        facts: cards, default, adopt, added (see the SQL file). version: of get_customer before Stripe was read; outcome
        stale asks to read both again. Refused unknown_account.
        """
        return self._call(
            "mirror_cards",
            p_account_id=account_id,
            p_customer_id=customer_id,
            p_version=version,
            p_facts=Json(facts),
            p_actor=actor,
        )

    def announce_expiring_cards(self, limit: int) -> int:
        """Tells accounts whose default card expires this month or next, once a card; answers how many."""
        return self._call("announce_expiring_cards", p_limit=limit)

    def attach_payment_intent(self, payment_id: str, intent_id: str) -> Payment:
        """Stores the PaymentIntent of a purchase, and lets the sweep ask for its outcome from a minute on."""
        return self._call("attach_payment_intent", p_payment_id=payment_id, p_intent_id=intent_id)
