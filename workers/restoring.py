"""What a restored backup has forgotten, made again from what Stripe keeps: accounts, customers, payments.

Only what carries our seal (shared/seals.py): metadata can be edited in Stripe's Dashboard, and two installations may share
one account at Stripe.
"""

from __future__ import annotations

import logging
from typing import Any

from shared.seals import SEAL
from shared.stripe_cards import CardGateway, follow
from shared.stripe_facts import StripeData, facts_of_intent, facts_of_session, id_of
from workers import purchases
from workers.app import App

log = logging.getLogger(__name__)

ACTOR = "reconciliation"


def is_ours(app: App, intent: StripeData) -> bool:
    """Whether a PaymentIntent that no row knows was made by this installation: by its seal, or by its customer."""
    if _row(app, intent)[0] is not None:
        return True
    customer_id = id_of(intent.get("customer"))
    return customer_id is not None and app.ledger.find_customer_account(customer_id) is not None


def payment(app: App, intent: StripeData) -> str | None:
    """Books a payment whose row is gone. Answers None, or why it cannot: unsealed, or a settlement's complaint.

    A top-up that has taken no money is canceled instead: nobody watches it any more. A purchase may still be paid, and is
    restored then.
    """
    row, discounted = _row(app, intent)
    if row is None:
        return "unsealed"
    if intent.get("status") != "succeeded":
        if row["topup_id"] is not None and intent.get("status") not in ("canceled", "processing"):
            app.gateway.cancel_intent(intent["id"])
        return None
    if app.ledger.find_customer_account(str(id_of(intent.get("customer")))) is None:
        customer(app, app.gateway.retrieve_customer(str(id_of(intent.get("customer")))), row["account_id"])
    facts = facts_of_session(discounted) if discounted else facts_of_intent(intent)
    whole = {
        **row,
        "allow_promotion_codes": discounted is not None,
        "customer": facts["customer"],
        "payment_method": facts["payment_method"] or "",
        "created": intent["created"],
    }
    settlement = app.ledger.restore_payment(whole, facts)
    log.warning("payment restored", extra={"payment": row["id"], "account": row["account_id"]})
    return purchases.follow_settlement(app, row["id"], settlement)[1]


def _row(app: App, intent: StripeData) -> tuple[dict[str, Any] | None, StripeData | None]:
    """The row under the seal, and the Checkout Session whose promotion codes made the amount another than the sealed one."""
    row = app.gateway.sealer.row_of(intent)
    if row is not None or SEAL not in (intent.get("metadata") or {}):
        return row, None
    session = app.gateway.session_of_intent(intent["id"])
    if session is None or not (session.get("total_details") or {}).get("amount_discount"):
        return None, None
    return app.gateway.sealer.row_of({**intent, "amount": session.get("amount_subtotal")}), session


def customer(app: App, found: StripeData, account_id: str | None = None) -> str | None:
    """Opens a customer's account again, if it is missing, and links the two. Answers None, or why not."""
    account_id = account_id or app.gateway.sealer.account_of(found)
    if account_id is None:
        return "unsealed"
    app.ledger.open_account(
        account_id, found.get("name") or account_id, found.get("email"), None,
        app.settings.signup_micro_credits, ACTOR,
    )  # fmt: skip
    if app.ledger.link_customer(account_id, found["id"]) != found["id"]:
        return "another_customer"
    follow(app.ledger, CardGateway(app.gateway.client), account_id, ACTOR)
    return None
