"""A top-up's idempotency keys across saved failures, releases and vanished customers; over the local Stripe."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from shared.stripe_errors import StripeRefused
from tests.workers.test_with_local_stripe import Shop, server, shop

__all__ = ["server", "shop"]
INTENTS = "/v1/payment_intents"


def intents(shop: Shop) -> list[Any]:
    return list(shop.client.v1.payment_intents.list({"limit": 100}).data)


@pytest.mark.parametrize("stage", ["before", "after"])
def test_a_saved_500_while_creating_makes_one_intent_and_one_charge(shop: Shop, stage: str) -> None:
    shop.control.fail(kind=500, path=INTENTS, method="POST", stage=stage, saved=True)
    shop.world.spend(90)
    shop.world.check()
    assert [shop.world.topup["state"], shop.charged, len(intents(shop))] == ["succeeded", 1, 1]


def test_a_release_between_create_and_its_repeat_pauses_nothing_and_makes_no_second(
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop.control.fail(kind="cut", path=INTENTS, method="POST", stage="after", times=3)
    shop.world.spend(90)
    shop.world.check()
    assert shop.world.topup["stripe_payment_intent_id"] is None
    service = type(shop.client.v1.payment_intents)
    create = service.create

    def released(self: Any, params: Any, options: Any = None) -> Any:
        return create(self, {**params, "description": "of the next release"}, options)

    monkeypatch.setattr(service, "create", released)
    shop.world.charge()
    assert [shop.world.topup["state"], shop.charged, len(intents(shop))] == ["succeeded", 1, 1]
    assert shop.world.settings["paused_reason"] is None


@pytest.mark.parametrize("executed", [False, True])
def test_a_confirmation_of_a_release_before_is_never_sent_twice(
    shop: Shop,
    *,
    executed: bool,
) -> None:
    made = shop.client.v1.payment_intents.create(
        {
            "amount": 500,
            "currency": "usd",
            "customer": shop.customer,
            "payment_method": shop.world.query("select * from billing.customers")[0][
                "default_payment_method"
            ],
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
    )
    shop.control.fail(kind="cut" if executed else 500, path=f"{INTENTS}/*/confirm", stage="after" if executed else "before",
                      saved=True, times=3)  # fmt: skip
    options: Any = {"idempotency_key": "topup:top_1:confirm"}
    with pytest.raises(stripe.StripeError):
        shop.client.v1.payment_intents.confirm(made.id, {"off_session": True}, options)  # other parameters
    shop.control.clear_faults()
    gateway = shop.world.app.gateway
    if executed:
        with pytest.raises(StripeRefused) as refused:
            gateway.confirm_topup_intent("top_1", made.id)
        assert refused.value.stripe_code == "payment_intent_unexpected_state"
    else:
        assert gateway.confirm_topup_intent("top_1", made.id)["status"] == "succeeded"
    assert shop.charged == 1


@pytest.mark.parametrize("how", ["deleted", "foreign"])
def test_a_vanished_customer_pauses_for_want_of_a_card_and_charges_nothing(shop: Shop, how: str) -> None:
    if how == "deleted":
        shop.client.v1.customers.delete(shop.customer)
    else:
        shop.control.reset()
    shop.world.spend(90)
    shop.world.check()
    assert [shop.world.topup["state"], shop.world.settings["paused_reason"]] == [
        "canceled",
        "no_payment_method",
    ]
    assert shop.charged == 0
    assert len(shop.world.notices("topup.paused")) == 1
    shop.world.check()
    assert len(shop.world.topups) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_without_permission_lets_the_top_up_wait_and_reaches_the_operators(
    shop: Shop, status: int
) -> None:
    shop.control.fail(
        kind=status, path=INTENTS, method="POST", message="lacks rak_payment_intent_write", times=2
    )
    shop.world.spend(90)
    shop.world.check()
    assert shop.world.topup["state"] == "open"
    assert [row["invariant"] for row in shop.world.ledger.check_invariants()] == ["check_stripe_accepts_key"]
    assert len(shop.world.notices("operations.stripe_refused")) == 1
    shop.control.clear_faults()
    shop.world.charge()
    assert [shop.world.topup["state"], shop.charged] == ["succeeded", 1]
    shop.world.query("update billing.stripe_refusals set last_at = now() - interval '2 hours' returning 1")
