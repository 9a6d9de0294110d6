"""Refunds and disputes of subscription invoices at the local Stripe, told in any order, by webhook or asked for."""

from __future__ import annotations

import random
from typing import Any

import pytest

from shared import stripe_subscriptions as at_stripe
from tests.workers.test_subscriptions import history, subscribe, work_off
from tests.workers.test_with_local_stripe import Shop, server, shop
from tests.workers.world import ACCOUNT
from workers import reversals

__all__ = ["server", "shop"]


def intent_of(shop: Shop, subscription_id: str) -> str:
    """The PaymentIntent of the newest invoice."""
    invoice = str(shop.client.v1.subscriptions.retrieve(subscription_id).latest_invoice)
    (found,) = at_stripe.intents_of_invoice(shop.client, invoice)
    assert at_stripe.invoices_of_intent(shop.client, found) == [invoice]
    return found


def charge_of(shop: Shop, intent_id: str) -> str:
    return str(shop.client.v1.payment_intents.retrieve(intent_id).latest_charge)


def deliver(shop: Shop, seed: int | None = None) -> None:
    """Every event so far, under new ids."""
    told = history(shop)
    if seed is not None:
        random.Random(seed).shuffle(told)
    for event in told:
        state, reason = work_off(shop, event, str(next(shop.world.ids)))
        assert state in ("done", "ignored"), (event["type"], reason)


def status(shop: Shop) -> str:
    return str(shop.world.ledger.get_account(ACCOUNT)["status"])


def tell(shop: Shop, event_type: str, **changes: Any) -> tuple[str, str | None]:
    """The newest event of the type alone, its object changed."""
    event = next(one for one in history(shop) if one["type"] == event_type)
    event["data"]["object"] |= changes
    return work_off(shop, event, str(next(shop.world.ids)))


@pytest.mark.parametrize("seed", range(4))
def test_refunds_and_a_dispute_of_an_invoice_end_in_the_same_books_in_any_order(
    shop: Shop, seed: int
) -> None:
    charged = intent_of(shop, subscribe(shop))
    for amount in (190, 760):
        shop.client.v1.refunds.create({"payment_intent": charged, "amount": amount})
    deliver(shop, seed)
    assert shop.world.balance == 100 + 250
    disputed = shop.control.open_dispute(charge_of(shop, charged), amount=950)
    deliver(shop, seed)
    assert (shop.world.balance, status(shop)) == (100, "paused")
    shop.control.close_dispute(disputed["id"], won=seed % 2 == 0)
    deliver(shop, seed)
    assert (shop.world.balance, status(shop)) == (100 + (250 if seed % 2 == 0 else 0), "active")


@pytest.mark.parametrize(
    "told",
    ["charge.refunded", "refund.created", "charge.dispute.created", "radar.early_fraud_warning.created"],
)
def test_each_of_their_events_alone_grants_the_invoice_first(shop: Shop, told: str) -> None:
    charged = intent_of(shop, subscribe(shop))
    if told.startswith("radar"):
        warning = {
            "id": "issfr_1",
            "object": "radar.early_fraud_warning",
            "payment_intent": None,
            "charge": charge_of(shop, charged),
            "fraud_type": "misc",
            "actionable": True,
            "created": 1_790_000_000,
            "livemode": False,
        }
        shop.control.emit(told, warning)
    elif "dispute" in told:
        shop.control.open_dispute(charge_of(shop, charged))
    else:
        shop.client.v1.refunds.create({"payment_intent": charged, "amount": 950})
    assert tell(shop, told) == ("done", None)
    left = {"charge.refunded": 350, "refund.created": 350, "charge.dispute.created": 100}
    assert shop.world.balance == left.get(told, 600)
    if told.startswith("radar"):
        assert shop.world.ledger.get_auto_topup(ACCOUNT)["paused_reason"] == "fraud_warning"


def test_a_dispute_without_payment_intent_or_customer_finds_its_invoice(shop: Shop) -> None:
    shop.control.open_dispute(charge_of(shop, intent_of(shop, subscribe(shop))))
    assert tell(shop, "charge.dispute.created", payment_intent=None) == ("done", None)
    assert (shop.world.balance, status(shop)) == (100, "paused")


def test_a_refund_takes_the_cycle_that_it_paid_and_no_other(shop: Shop) -> None:
    subscription_id = subscribe(shop)
    first = intent_of(shop, subscription_id)
    shop.control.renew(subscription_id)
    deliver(shop)
    shop.client.v1.refunds.create({"payment_intent": first})
    deliver(shop)
    rows = shop.world.query(
        "select l.remaining from billing.subscription_grants g"
        " join billing.credit_lots l on l.source = 'invoice_line:' || g.id order by g.period_start"
    )
    assert [row["remaining"] for row in rows] == [0, 500_000_000]
    assert shop.world.balance == 600


def test_a_refund_that_fails_later_gives_the_cycle_back(shop: Shop) -> None:
    made = shop.client.v1.refunds.create({"payment_intent": intent_of(shop, subscribe(shop))})
    deliver(shop)
    assert shop.world.balance == 100
    shop.control.fail_refund(made.id)
    deliver(shop)
    assert shop.world.balance == 600


def test_following_an_intent_tells_what_it_paid_and_may_be_repeated(shop: Shop) -> None:
    subscribed = intent_of(shop, subscribe(shop))
    bought = shop.purchase()
    shop.control.pay_checkout(bought["stripe_checkout_session_id"])
    paid = str(shop.client.v1.checkout.sessions.retrieve(bought["stripe_checkout_session_id"]).payment_intent)
    by_hand = shop.control.pay_from_dashboard(shop.customer)["id"]
    strangers = shop.control.pay_from_dashboard()["id"]
    for intent_id in (subscribed, paid):
        shop.client.v1.refunds.create({"payment_intent": intent_id})
    for _ in range(2):
        found = [
            reversals.follow_intent(shop.world.app, one) for one in (subscribed, paid, by_hand, strangers)
        ]
        assert found == ["invoice", "payment", "not_ours", "not_ours"]
        assert shop.world.balance == 100


def test_another_customers_invoice_is_not_even_asked_for(shop: Shop) -> None:
    other = shop.client.v1.customers.create({"name": "Other", "email": "o@example.com"}).id
    paid = shop.control.pay_from_dashboard(other)["id"]
    assert reversals.follow_intent(shop.world.app, paid) == "not_ours"
    assert shop.control.requests(path="/v1/invoice_payments*") == []


def test_a_payment_of_several_invoices_is_left_to_a_person(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.client.v1.refunds.create({"payment_intent": intent_of(shop, subscribe(shop))})
    monkeypatch.setattr(at_stripe, "invoices_of_intent", lambda *_a: ["in_1", "in_2"])
    assert tell(shop, "refund.created") == ("parked", "several_invoices")
    assert shop.world.balance == 100


def test_all_payments_of_an_invoice_that_was_paid_in_parts_count(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged = intent_of(shop, subscribe(shop))
    other = shop.control.pay_from_dashboard(shop.customer)["id"]
    shop.client.v1.refunds.create({"payment_intent": charged, "amount": 950})
    shop.client.v1.refunds.create({"payment_intent": other, "amount": 190})
    monkeypatch.setattr(at_stripe, "intents_of_invoice", lambda *_a: [charged, other])
    assert reversals.follow_intent(shop.world.app, charged) == "invoice"
    assert shop.world.balance == 100 + 500 - 250 - 50


def test_metadata_of_another_account_park_the_refund_too(shop: Shop) -> None:
    subscription_id = subscribe(shop)
    shop.client.v1.refunds.create({"payment_intent": intent_of(shop, subscription_id)})

    def change(call: Any) -> Any:
        found = call.get("invoice", call.get("subscription", subscription_id)["latest_invoice"])
        found["parent"]["subscription_details"]["metadata"] = {"refill_account_id": "acct_other"}
        return call.put(found)

    shop.control._do(change)
    assert tell(shop, "refund.created") == ("parked", "account_mismatch")
    assert shop.world.balance == 100
