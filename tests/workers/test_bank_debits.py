"""Automatic charges that take the bank days: nobody is blocked, nothing is charged twice, failures are booked at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from local.stripe.app import LocalStripe
from shared import queue
from shared.errors import Refused
from tests.workers import test_with_local_stripe as local
from tests.workers.test_with_local_stripe import Shop
from tests.workers.world import ACCOUNT
from web import topups as operators
from workers import topups

shop = local.shop


@pytest.fixture(scope="module")
def server() -> Iterator[LocalStripe]:
    with LocalStripe.start() as made:
        yield made


@pytest.fixture
def debit(shop: Shop) -> dict[str, Any]:
    """A top-up whose PaymentIntent has been in processing for five days."""
    shop.control.behave(shop.customer, outcome="processing")
    shop.world.spend(90)
    shop.world.check()
    for _ in range(8):  # the sweep has asked for it again and again
        shop.world.charge()
    shop.world.age("5 days")
    shop.world.charge()
    shop.control.behave(shop.customer, outcome=None)
    assert shop.world.topup["state"] == "processing"
    return shop.world.topup


def deliver(shop: Shop) -> None:
    """Every event, and every message that it leads to; nothing is due by itself."""
    shop.world.queue.messages.clear()
    shop.deliver()
    for actor, *args in list(shop.world.queue.messages):
        if actor == queue.CHARGE_TOPUP:
            topups.charge_topup(shop.world.app, *args)  # type: ignore[arg-type]


def test_while_a_bank_debit_is_pending_people_buy_and_agents_spend(shop: Shop, debit: dict[str, Any]) -> None:
    bought = shop.purchase()
    shop.control.pay_checkout(bought["stripe_checkout_session_id"])
    shop.world.check_payment(bought["id"])
    assert [shop.world.balance, shop.charged] == [110, 1]
    shop.world.spend(105)
    shop.world.check()
    assert [row["id"] for row in shop.world.topups] == [debit["id"]]
    shop.control.settle(debit["stripe_payment_intent_id"])
    deliver(shop)
    assert [shop.world.topup["state"], shop.world.balance, shop.charged] == ["succeeded", 105, 2]


@pytest.mark.parametrize("code", ["insufficient_funds", "debit_not_authorized", "generic_decline"])
def test_a_failed_bank_debit_is_booked_when_its_webhook_comes(
    shop: Shop, debit: dict[str, Any], code: str
) -> None:
    """The next look of its own would be up to 15 minutes later."""
    assert shop.world.app.ledger.claim_topup(debit["id"]) is None
    shop.control.settle(debit["stripe_payment_intent_id"], outcome="failed", decline_code=code)
    deliver(shop)
    assert [shop.world.topup["state"], shop.world.topup["decline_code"], shop.charged] == [
        "declined",
        code,
        0,
    ]
    assert [shop.world.settings["declines"], shop.world.grants] == [1, 0]
    # It is over at Stripe, too: nobody can confirm it again.
    intent = shop.world.app.gateway.retrieve_intent(debit["stripe_payment_intent_id"])
    assert intent["status"] == "canceled"


def test_switching_off_leaves_a_pending_bank_debit_and_grants_it(shop: Shop, debit: dict[str, Any]) -> None:
    shop.world.ledger.set_auto_topup(ACCOUNT, {"enabled": False}, "owner")
    shop.world.charge()
    assert shop.world.topup["state"] == "processing"
    shop.control.settle(debit["stripe_payment_intent_id"])
    deliver(shop)
    assert [shop.world.topup["state"], shop.world.grants, shop.world.balance] == ["succeeded", 1, 110]


def test_canceling_a_pending_bank_debit_says_what_is_possible(shop: Shop, debit: dict[str, Any]) -> None:
    services: Any = shop.world.app  # of which cancel needs the ledger and the gateway
    with pytest.raises(Refused, match="The bank is processing this charge") as refused:
        operators.cancel(services, debit["id"], "operator")
    assert refused.value.code == "state_conflict"
    assert [shop.world.topup["state"], shop.charged] == ["processing", 0]
    shop.control.settle(debit["stripe_payment_intent_id"], outcome="failed")
    operators.cancel(services, debit["id"], "operator")
    assert [shop.world.topup["state"], shop.world.topup["reason"]] == ["canceled", "canceled by operator"]


def test_a_message_that_comes_again_takes_the_charge_of_its_dead_worker_up_at_once(
    shop: Shop,
) -> None:
    shop.world.spend(90)
    opened = shop.world.ledger.open_topup(ACCOUNT, "top_x", "pay_x")
    assert opened["topup_id"] == "top_x"
    assert shop.world.ledger.claim_topup("top_x", claimant="message-1")
    assert shop.world.ledger.claim_topup("top_x", claimant="message-2") is None
    assert shop.world.ledger.claim_topup("top_x") is None
    assert shop.world.ledger.due_work(10)["topups"] == []
    assert shop.world.ledger.claim_topup("top_x", claimant="message-1")
