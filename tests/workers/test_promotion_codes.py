"""A purchase with a promotion code: in whatever order Stripe tells, the books say what was paid and what was taken off."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from tests.workers.world import CREDIT, CUSTOMER, World

SESSION, SUCCEEDED = "checkout.session.completed", "payment_intent.succeeded"


@pytest.fixture(autouse=True)
def setting(world: World) -> None:
    world.query(
        "update billing.credit_packages set allow_promotion_codes = true where id = 'small' returning id"
    )


def pay(world: World, payment: dict[str, Any], discount: int, **changes: Any) -> tuple[Any, Any]:
    """The Session of a package for $5.00 is paid, less the discount."""
    left = payment["amount"] - discount
    world.stripe.pay_session("cs_1", payment, amount=left, amount_received=left)
    session = world.stripe.sessions["cs_1"]
    session |= {"amount_subtotal": payment["amount"], "amount_total": left, "currency": payment["currency"],
                "customer": CUSTOMER, "total_details": {"amount_discount": discount, "amount_tax": 0}}  # fmt: skip
    session |= changes
    return session, session["payment_intent"]


def free(world: World, payment: dict[str, Any], **changes: Any) -> Any:
    session, _ = pay(world, payment, payment["amount"])
    session |= {
        "payment_status": "no_payment_required",
        "payment_intent": None,
        "created": 1_790_000_000,
    } | changes
    return session


@pytest.mark.parametrize("order", permutations(range(3)))
@pytest.mark.parametrize("attach", ["cs_1", None])
def test_any_order_of_events_ends_in_the_discounted_books(
    world: World, order: tuple[int, ...], attach: str | None
) -> None:
    payment = world.buy(attach=attach)
    session, intent = pay(world, payment, 125)
    steps = [
        lambda: world.receive(SESSION, session),
        lambda: world.receive(SUCCEEDED, intent),
        lambda: world.check_payment(payment["id"]) if attach else world.receive(SUCCEEDED, intent),
    ]
    for place in [*order, *order]:
        steps[place]()
    found = world.payment(payment["id"])
    assert (found["status"], found["amount"], found["discount"], world.grants) == ("succeeded", 375, 125, 1)
    assert world.balance == 200
    assert world.query("select state, reason from billing.stripe_events where state <> 'done'") == []
    world.assert_sound()


def test_a_payment_that_stripe_tells_before_its_session_is_complete_waits_for_it(world: World) -> None:
    payment = world.buy()
    session, intent = pay(world, payment, 125)
    session |= {"status": "open", "payment_status": "unpaid"}
    event = world.receive(SUCCEEDED, intent)
    assert (world.event(event)[0], world.grants) == ("done", 0)
    session |= {"status": "complete", "payment_status": "paid"}
    world.receive(SESSION, session)
    assert (world.payment(payment["id"])["discount"], world.grants) == (125, 1)


def test_a_free_purchase_is_granted_once(world: World) -> None:
    payment = world.buy()
    session = free(world, payment)
    for _ in range(2):
        assert world.event(world.receive(SESSION, session)) == ("done", None)
        world.check_payment(payment["id"])
    found = world.payment(payment["id"])
    assert (found["status"], found["amount"], found["discount"]) == ("succeeded", 0, 500)
    assert (world.grants, world.balance, found["credits"]) == (1, 200, 100 * CREDIT)
    world.assert_sound()


def test_a_free_session_without_the_setting_is_parked(world: World) -> None:
    world.query(
        "update billing.credit_packages set allow_promotion_codes = false where id = 'small' returning id"
    )
    payment = world.buy()
    assert world.event(world.receive(SESSION, free(world, payment))) == ("parked", "no_payment_required")
    assert world.grants == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"total_details": {"amount_discount": 100}}, "amount_mismatch"),
        ({"total_details": {"amount_discount": 0}}, "amount_mismatch"),
        ({"total_details": None}, "amount_mismatch"),
        ({"amount_total": 500}, "amount_mismatch"),
    ],
)
def test_what_fits_no_discount_is_parked(world: World, changes: dict[str, Any], reason: str) -> None:
    payment = world.buy()
    session, intent = pay(world, payment, 125, **changes)
    assert world.event(world.receive(SESSION, session)) == ("parked", reason)
    assert world.event(world.receive(SUCCEEDED, intent)) == ("parked", reason)
    assert (world.grants, world.payment(payment["id"])["status"]) == (0, "parked")
    world.assert_sound()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"currency": "eur"}, "currency_mismatch"),
        ({"customer": "cus_other"}, "customer_mismatch"),
        ({"total_details": {"amount_discount": 400}}, "amount_mismatch"),
    ],
)
def test_a_free_session_that_differs_is_parked(world: World, changes: dict[str, Any], reason: str) -> None:
    payment = world.buy()
    assert world.event(world.receive(SESSION, free(world, payment, **changes))) == ("parked", reason)
    assert world.grants == 0
    world.assert_sound()
