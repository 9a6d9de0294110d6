"""Events about saved payment methods: each is a hint to read all of the customer's cards from Stripe again.

So they may come in any order and number; shared.stripe_cards.follow lets no older reading overwrite a newer one.
"""

from __future__ import annotations

from typing import Literal

from shared import queue
from shared.stripe_cards import CardGateway, follow
from shared.stripe_facts import StripeData, id_of
from workers.app import App

End = tuple[Literal["done", "ignored"], str | None]
ACTOR = "stripe"


def method_changed(app: App, subject: StripeData) -> End:
    """A payment method was attached, detached, or changed; a detached one does not name its customer any more."""
    return _follow(app, _owner(app, id_of(subject.get("customer")), subject["id"]))


def customer_updated(app: App, subject: StripeData) -> End:
    """The default may have been changed, in the Billing Portal or the Dashboard."""
    return _follow(app, _owner(app, subject["id"]))


def setup_succeeded(app: App, subject: StripeData) -> End:
    """A card was saved. One of our own SetupIntents may make it the default (see _offer_card.sql)."""
    account_id = _owner(app, id_of(subject.get("customer")))
    if account_id is None:
        return _follow(app, None)
    intent = CardGateway(app.gateway.client).retrieve_setup_intent(subject["id"])
    ours = (intent.get("metadata") or {}).get("refill_account_id") == account_id
    saved = intent.get("status") == "succeeded" and intent.get("usage") == "off_session"
    return _follow(app, account_id, added=id_of(intent.get("payment_method")) if ours and saved else None)


def _owner(app: App, *stripe_ids: str | None) -> str | None:
    for stripe_id in stripe_ids:
        if stripe_id is not None and (found := app.ledger.find_card_owner(stripe_id)) is not None:
            return found
    return None


def _follow(app: App, account_id: str | None, added: str | None = None) -> End:
    if account_id is None:
        return "ignored", "not_ours"
    if follow(app.ledger, CardGateway(app.gateway.client), account_id, ACTOR, added=added):
        app.queue.hint(queue.CHECK_THRESHOLD, account_id)
    return "done", None
