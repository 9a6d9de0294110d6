"""Who pays is not who gets: the credits are those of the account that the purchase was opened for."""

from __future__ import annotations

import pytest

from tests.workers.test_with_local_stripe import Shop, server, shop
from tests.workers.world import ACCOUNT

__all__ = ["server", "shop"]
PAYER = "payer@example.com"


@pytest.fixture
def other(shop: Shop) -> str:
    """Another account, whose owner pays for the first one."""
    ledger = shop.world.ledger
    ledger.open_account("other", "Other", PAYER, None, 0, "test")
    ledger.link_customer("other", shop.world.app.gateway.ensure_customer("other", "Other", PAYER))
    return "other"


@pytest.mark.parametrize("seed", range(2))
def test_checkout_that_another_person_pays_credits_the_account_it_was_opened_for_alone(
    shop: Shop, other: str, seed: int
) -> None:
    ledger, payment = shop.world.ledger, shop.purchase()
    shop.control.pay_checkout(
        payment["stripe_checkout_session_id"], card="5555555555554444", email=PAYER, name="Somebody Else"
    )
    shop.deliver(shuffle=seed)
    shop.world.check_payment(payment["id"])
    row = shop.world.payment(payment["id"])
    assert (row["status"], row["account_id"], row["stripe_customer_id"]) == (
        "succeeded",
        ACCOUNT,
        shop.customer,
    )
    assert (shop.world.grants, shop.world.balance) == (1, 200)
    assert ledger.get_balance(other)["balance"] == 0
    assert ledger.list_transactions(other, 9, None)["data"] == []
    assert ledger.list_payments(other, 9, None)["data"] == []
    assert ledger.list_payment_methods(other) == []
