"""Refunds and disputes of the local Stripe, with all the events that it sends for them, in any order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.workers.test_with_local_stripe import MONEY_EVENTS, Shop, server, shop
from tests.workers.world import ACCOUNT
from workers import events, maintenance

__all__ = ["server", "shop"]


@pytest.fixture
def paid(shop: Shop) -> dict[str, Any]:
    """100 credits bought for 5 dollars, of which Stripe knows and we were not told yet."""
    payment = shop.purchase()
    shop.control.pay_checkout(payment["stripe_checkout_session_id"])
    return payment


def charge(shop: Shop, intent_id: str) -> str:
    return str(shop.client.v1.payment_intents.retrieve(intent_id).latest_charge)


def intent(shop: Shop, payment: dict[str, Any]) -> str:
    session = shop.client.v1.checkout.sessions.retrieve(payment["stripe_checkout_session_id"])
    return str(session.payment_intent)


@pytest.mark.parametrize("seed", range(6))
def test_partial_refunds_and_a_dispute_end_in_the_same_books_in_any_order_of_events(
    shop: Shop, paid: dict[str, Any], seed: int
) -> None:
    """The payment's own events among them: a refund may be told before the payment."""
    charged = intent(shop, paid)
    before = shop.world.balance
    for amount in (100, 150):
        shop.client.v1.refunds.create({"payment_intent": charged, "amount": amount})
    shop.deliver(shuffle=seed)
    assert shop.world.balance == before + 50
    disputed = shop.control.open_dispute(charge(shop, charged), amount=250)
    shop.deliver(shuffle=seed)
    assert shop.world.balance == before
    assert shop.world.ledger.get_account(ACCOUNT)["status"] == "paused"
    shop.control.close_dispute(disputed["id"], won=True)
    shop.deliver(shuffle=seed)
    assert shop.world.balance == before + 50
    assert shop.world.ledger.get_account(ACCOUNT)["status"] == "active"


def test_a_refund_that_fails_later_gives_its_credits_back(shop: Shop, paid: dict[str, Any]) -> None:
    before = shop.world.balance
    made = shop.client.v1.refunds.create({"payment_intent": intent(shop, paid)})
    shop.deliver()
    assert shop.world.balance == before
    shop.control.fail_refund(made.id)
    shop.deliver()
    assert shop.world.balance == before + 100


def test_a_dispute_that_names_no_payment_intent_is_found_through_its_charge(
    shop: Shop, paid: dict[str, Any]
) -> None:
    before = shop.world.balance
    disputed = shop.control.open_dispute(charge(shop, intent(shop, paid)))
    event = next(e for e in shop.client.v1.events.list({"type": "charge.dispute.created"}).data).to_dict()
    event["data"]["object"]["payment_intent"] = None
    raw = json.dumps(event).encode()
    shop.world.ledger.record_stripe_event(event["id"], event["type"], None, False, None, raw, None, None)
    events.process_event(shop.world.app, event["id"])
    assert (shop.world.balance, disputed["status"]) == (before, "needs_response")
    assert shop.world.ledger.get_reversals(paid["id"])["disputed_credits"] == 100_000_000
    assert shop.world.ledger.get_account(ACCOUNT)["status"] == "paused"


@pytest.mark.parametrize("known", [True, False], ids=["intent kept before", "intent not known yet"])
def test_a_refund_whose_payment_nobody_announced_grants_it_and_takes_its_share_back(
    shop: Shop, paid: dict[str, Any], known: bool
) -> None:
    before = shop.world.balance
    if known:  # as a top-up keeps it, before it is charged
        kept = "update billing.payments set stripe_payment_intent_id = %s where id = %s"
        shop.world.query(kept, intent(shop, paid), paid["id"])
    shop.client.v1.refunds.create({"payment_intent": intent(shop, paid), "amount": 100})
    event = shop.client.v1.events.list({"type": "refund.created"}).data[0].to_dict()
    raw = json.dumps(event).encode()
    shop.world.ledger.record_stripe_event(event["id"], event["type"], None, False, None, raw, None, None)
    events.process_event(shop.world.app, event["id"])
    assert (shop.world.payment(paid["id"])["status"], shop.world.balance) == ("succeeded", before + 80)


def test_the_refund_of_somebody_elses_payment_is_ignored(shop: Shop) -> None:
    before = shop.world.balance
    made = shop.client.v1.payment_intents.create(
        {
            "amount": 500,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
    )
    shop.client.v1.refunds.create({"payment_intent": made.id})
    shop.deliver()
    states = {row["state"] for row in shop.world.query(MONEY_EVENTS)}
    assert (states, shop.world.balance) == ({"ignored"}, before)


def test_an_early_fraud_warning_pauses_automatic_charges(shop: Shop, paid: dict[str, Any]) -> None:
    charged = intent(shop, paid)
    shop.deliver()
    warning = {
        "id": "issfr_1",
        "object": "radar.early_fraud_warning",
        "payment_intent": charged,
        "charge": None,
    }
    event = {
        "id": "evt_warning",
        "object": "event",
        "type": "radar.early_fraud_warning.created",
        "data": {"object": warning | {"fraud_type": "made_with_stolen_card"}},
    }
    raw = json.dumps(event).encode()
    shop.world.ledger.record_stripe_event(event["id"], str(event["type"]), None, False, None, raw, None, None)
    events.process_event(shop.world.app, str(event["id"]))
    assert shop.world.ledger.get_auto_topup(ACCOUNT)["paused_reason"] == "fraud_warning"


def test_refunds_of_automatic_charges_charge_nothing_by_themselves(shop: Shop) -> None:
    """A refund of the charge, then of the purchase before it, each with all its events and a sweep."""
    shop.world.spend(95)
    shop.world.check()
    assert (shop.charged, shop.world.balance) == (1, 105)
    charged = shop.world.payment(shop.world.topup["payment_id"])["stripe_payment_intent_id"]
    shop.deliver()
    for amount in (50, 150, 300):
        shop.client.v1.refunds.create({"payment_intent": str(charged), "amount": amount})
        shop.deliver()
        maintenance.sweep(shop.world.app)
        shop.world.check()
        assert shop.charged == 1
    assert shop.world.balance == 5
    assert shop.world.settings["paused_reason"] == "refunded"
    assert len(shop.world.notices("topup.paused")) == 1


def test_a_refund_in_part_charges_with_the_next_spend(shop: Shop, paid: dict[str, Any]) -> None:
    shop.deliver()
    shop.world.spend(185)
    shop.client.v1.refunds.create({"payment_intent": intent(shop, paid), "amount": 50})
    shop.deliver()
    shop.world.check()
    assert (shop.charged, shop.world.balance) == (1, 5), "the purchase alone"
    shop.world.spend(1)
    shop.world.check()
    assert (shop.charged, shop.world.balance) == (2, 104)
