"""Promotion codes at the local Stripe's Checkout: granted, refunded, swept, reconciled and restored."""

from __future__ import annotations

import pytest

from tests.workers.test_reconciliation import differences, forget, reconcile
from tests.workers.test_with_local_stripe import Shop, server, shop
from tests.workers.world import CREDIT

__all__ = ["server", "shop"]


@pytest.fixture
def codes(shop: Shop) -> Shop:
    shop.world.query(
        "update billing.credit_packages set allow_promotion_codes = true where id = 'small' returning id"
    )
    for code, percent in (("FALL20", 20), ("FREE", 100)):
        coupon = shop.client.v1.coupons.create({"percent_off": percent, "duration": "once"})
        shop.client.v1.promotion_codes.create(
            {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": code}
        )
    return shop


@pytest.mark.parametrize(("code", "paid"), [("FALL20", 400), ("FREE", 0), (None, 500)])
def test_checkout_with_a_code_is_granted_once(codes: Shop, code: str | None, paid: int) -> None:
    payment = codes.purchase()
    codes.control.pay_checkout(payment["stripe_checkout_session_id"], promotion_code=code)
    codes.deliver()
    codes.deliver()
    found = codes.world.payment(payment["id"])
    assert (found["status"], found["amount"], found["discount"]) == ("succeeded", paid, 500 - paid)
    assert (codes.world.balance, codes.world.grants, codes.charged) == (200, 1, int(paid > 0))
    codes.world.assert_sound()


def test_a_refund_of_a_discounted_payment_takes_all_credits(codes: Shop) -> None:
    payment = codes.purchase()
    session = codes.control.pay_checkout(payment["stripe_checkout_session_id"], promotion_code="FALL20")
    codes.deliver()
    codes.client.v1.refunds.create({"payment_intent": session["payment_intent"]})
    codes.deliver()
    found = codes.world.payment(payment["id"])
    assert (found["refunded_credits"], codes.world.balance) == (100 * CREDIT, 100)
    codes.world.assert_sound()


@pytest.mark.parametrize("code", ["FALL20", "FREE"])
def test_a_lost_webhook_is_made_up_for_by_the_sweep(codes: Shop, code: str) -> None:
    payment = codes.purchase()
    codes.control.pay_checkout(payment["stripe_checkout_session_id"], promotion_code=code)
    codes.world.check_payment(payment["id"])
    assert (codes.world.payment(payment["id"])["status"], codes.world.balance) == ("succeeded", 200)
    reconcile(codes)
    assert (codes.world.balance, codes.world.grants, differences(codes)) == (200, 1, [])


@pytest.mark.parametrize("account", [False, True])
def test_a_discounted_payment_that_the_backup_forgot_is_restored(codes: Shop, account: bool) -> None:
    payment = codes.purchase()
    codes.control.pay_checkout(payment["stripe_checkout_session_id"], promotion_code="FALL20")
    codes.deliver()
    forget(codes, account=account)
    reconcile(codes)
    found = codes.world.payment(payment["id"])
    assert (found["status"], found["amount"], found["discount"]) == ("succeeded", 400, 100)
    assert (codes.world.balance, differences(codes)) == (100 if account else 200, [])
    codes.world.assert_sound()
