"""Purchases whose webhooks never come."""

from __future__ import annotations

import pytest

from shared.errors import StripeUnavailable
from shared.stripe_client import StripeRefused
from tests.workers.world import ACCOUNT, CUSTOMER, World


def due_soon(world: World) -> bool:
    """Whether the sweep looks at the purchase again within two minutes."""
    rows = world.query(
        "select next_check_at < now() + interval '2 minutes 1 second' as soon from billing.payments"
    )
    return bool(rows[0]["soon"])


def test_paid_purchase_is_granted_without_any_webhook(world: World) -> None:
    """No. 21; the first look is due a minute after the Session was made."""
    payment = world.buy()
    assert due_soon(world)
    world.stripe.pay_session("cs_1", payment)
    world.check_payment(payment["id"])
    world.check_payment(payment["id"])
    assert [world.payment(payment["id"])["status"], world.grants, world.balance] == ["succeeded", 1, 200]
    assert not due_soon(world)
    world.assert_sound()


def test_open_purchase_is_looked_at_again(world: World) -> None:
    payment = world.buy()
    world.check_payment(payment["id"])
    assert [world.payment(payment["id"])["status"], due_soon(world)] == ["open", True]


@pytest.mark.parametrize("session_status", ["expired"])
def test_expired_purchase_ends(world: World, session_status: str) -> None:
    payment = world.buy()
    world.stripe.sessions["cs_1"]["status"] = session_status
    world.check_payment(payment["id"])
    assert [world.payment(payment["id"])["status"], due_soon(world)] == ["canceled", False]


def test_stripe_away_only_postpones(world: World) -> None:
    payment = world.buy()
    world.stripe.faults["retrieve_session"] = [StripeUnavailable("down", replayed=False)]
    world.check_payment(payment["id"])
    assert [world.payment(payment["id"])["status"], due_soon(world)] == ["open", True]


def test_session_that_stripe_does_not_know_ends_the_purchase(world: World) -> None:
    payment = world.buy()
    world.stripe.faults["retrieve_session"] = [StripeRefused("none", "resource_missing", "id")]
    world.check_payment(payment["id"])
    assert [world.payment(payment["id"])["status"], world.grants] == ["canceled", 0]


def test_payment_after_we_had_given_the_purchase_up_still_counts(world: World) -> None:
    payment = world.buy()
    world.ledger.fail_payment(payment["id"], "canceled", "checkout_expired")
    world.stripe.pay_session("cs_1", payment)
    world.receive("checkout.session.completed", world.stripe.sessions["cs_1"])
    assert [world.payment(payment["id"])["status"], world.grants] == ["succeeded", 1]


def intent_that_asks(world: World) -> str:
    """A purchase in the platform's own page, whose bank asks for the card holder."""
    payment = world.ledger.open_purchase("pay_sca", ACCOUNT, "small", 1, CUSTOMER)
    world.ledger.attach_payment_intent(payment["id"], "pi_sca")
    world.stripe.intents["pi_sca"] = {
        "id": "pi_sca",
        "object": "payment_intent",
        "status": "requires_action",
        "metadata": {"refill_payment_id": payment["id"], "refill_account_id": ACCOUNT},
    }
    return payment["id"]


@pytest.mark.parametrize("first", ["event", "check"])
def test_a_purchase_whose_bank_asks_is_told_once_and_stays_payable_for_a_day(
    world: World, first: str
) -> None:
    payment_id = intent_that_asks(world)
    steps = [
        lambda: world.receive("payment_intent.requires_action", world.stripe.intents["pi_sca"]),
        lambda: world.check_payment(payment_id),
    ]
    for step in steps if first == "event" else reversed(steps):
        step()
        assert [row["payload"]["payment_id"] for row in world.notices("payment.action_required")] == [
            payment_id
        ]
    world.query(
        "update billing.payments set created_at = now() - interval '23 hours' where id = %s", payment_id
    )
    world.check_payment(payment_id)
    assert (world.payment(payment_id)["status"], world.payment(payment_id)["action_required"]) == (
        "open",
        True,
    )
    world.query(
        "update billing.payments set created_at = now() - interval '25 hours' where id = %s", payment_id
    )
    world.check_payment(payment_id)
    assert (world.payment(payment_id)["status"], world.payment(payment_id)["action_required"]) == (
        "canceled",
        False,
    )


def parked(world: World, **said: object) -> dict[str, object]:
    """A purchase whose Session says that less was paid than was asked for."""
    payment = world.buy()
    world.stripe.pay_session("cs_1", payment, **{"amount_received": 499} | said)
    world.check_payment(payment["id"])
    assert world.payment(payment["id"])["status"] == "parked"
    world.ledger.recheck_payment(payment["id"], "dana")
    return payment


def due(world: World) -> bool:
    return bool(world.ledger.due_work(9)["payments"])


def test_a_parked_payment_that_fits_meanwhile_is_granted_once_by_another_look(world: World) -> None:
    payment = parked(world)
    world.stripe.intents["pi_cs_1"]["amount_received"] = 500
    for _ in range(3):
        world.check_payment(str(payment["id"]))
    assert [world.payment(str(payment["id"]))["status"], world.grants, world.balance] == ["succeeded", 1, 200]
    assert not due(world)
    world.assert_sound()


def test_one_that_still_differs_stays_parked_and_is_not_looked_at_again(world: World) -> None:
    payment = parked(world)
    assert due(world)
    world.check_payment(str(payment["id"]))
    assert [world.payment(str(payment["id"]))["status"], world.grants, due(world)] == ["parked", 0, False]
    assert len(world.notices("payment.parked")) == 1


def test_while_stripe_is_away_the_look_stays_due(world: World) -> None:
    payment = parked(world)
    world.stripe.faults["retrieve_session"] = [StripeUnavailable("down", replayed=False)]
    world.check_payment(str(payment["id"]))
    assert (world.payment(str(payment["id"]))["status"], due(world)) == ("parked", True)
    world.stripe.faults["retrieve_session"] = [StripeRefused("none", "resource_missing", "id")]
    world.check_payment(str(payment["id"]))
    assert (world.payment(str(payment["id"]))["status"], due(world)) == ("parked", False)


def test_a_closed_payment_is_not_granted_by_its_event_and_the_event_is_done(world: World) -> None:
    payment = parked(world)
    world.ledger.close_payment(str(payment["id"]), "refunded", "dana")
    world.stripe.intents["pi_cs_1"]["amount_received"] = 500
    event = world.receive("checkout.session.completed", world.stripe.sessions["cs_1"])
    world.check_payment(str(payment["id"]))
    assert world.event(event) == ("done", None)
    assert [world.payment(str(payment["id"]))["status"], world.grants] == ["parked", 0]
    world.assert_sound()


def test_nothing_is_canceled_at_stripe_by_a_look_at_a_parked_payment(world: World) -> None:
    """An open one that is overdue is canceled at Stripe, so that nobody pays it any more."""
    payment = world.ledger.open_purchase("pay_late", ACCOUNT, "small", 1, CUSTOMER)
    world.ledger.attach_payment_intent(payment["id"], "pi_late")
    world.stripe.add_intent("pi_late", status="requires_payment_method")
    facts = {"payment_intent": "pi_other", "customer": CUSTOMER, "amount_received": 500, "currency": "usd"}
    assert world.ledger.settle_payment(payment["id"], facts)["outcome"] == "parked"
    world.query("update billing.payments set created_at = now() - interval '2 days'")
    world.ledger.recheck_payment(payment["id"], "dana")
    world.check_payment(payment["id"])
    assert world.stripe.intents["pi_late"]["status"] == "requires_payment_method"
    assert (world.stripe.count("cancel_intent"), due(world)) == (0, False)


def test_one_without_an_id_of_its_own_is_looked_for_by_what_stripe_had_said(world: World) -> None:
    payment = world.ledger.open_purchase("pay_bare", ACCOUNT, "small", 1, CUSTOMER)
    facts = {"payment_intent": "pi_bare", "customer": CUSTOMER, "amount_received": 1, "currency": "usd"}
    world.ledger.settle_payment(payment["id"], facts)
    world.stripe.add_intent(
        "pi_bare", status="succeeded", amount=500, amount_received=500, currency="usd", customer=CUSTOMER
    )
    world.check_payment(payment["id"])
    assert [world.payment("pay_bare")["status"], world.grants] == ["succeeded", 1]
