"""Cards at the local Stripe, with all the events that it sends for them, in any order; purchases without Checkout."""

from __future__ import annotations

from typing import Any

import pytest

from shared import stripe_cards
from shared.errors import StripeUnavailable
from shared.stripe_cards import CardGateway
from tests.workers.test_with_local_stripe import Shop, server, shop
from tests.workers.world import ACCOUNT
from workers import maintenance

__all__ = ["server", "shop"]


def default(shop: Shop) -> str | None:
    customer = shop.world.ledger.get_customer(ACCOUNT)
    assert customer is not None
    return customer["default_payment_method"]


def listed(shop: Shop) -> set[str]:
    return {method["id"] for method in shop.world.ledger.list_payment_methods(ACCOUNT)}


def gateway(shop: Shop) -> CardGateway:
    return CardGateway(shop.client)


def add_card(shop: Shop, name: str = "pm_card_mastercard") -> str:
    """As a browser does with the SetupIntent that the API made; answers the card."""
    intent = gateway(shop).create_setup_intent(ACCOUNT, shop.customer, f"request_{next(shop.world.ids)}")
    done = shop.client.v1.setup_intents.confirm(intent["id"], {"payment_method": name})
    assert done.status == "succeeded"
    return str(done.payment_method)


def choose(shop: Shop, method: str) -> None:
    """As somebody does in the Billing Portal."""
    shop.client.v1.customers.update(shop.customer, {"invoice_settings": {"default_payment_method": method}})


@pytest.mark.parametrize("seed", range(6))
def test_every_order_of_a_cards_history_ends_in_the_same_cards(shop: Shop, seed: int) -> None:
    first = default(shop)
    assert first is not None
    second, third = add_card(shop), add_card(shop, "pm_card_amex")
    choose(shop, second)
    shop.client.v1.payment_methods.detach(first)
    shop.client.v1.payment_methods.detach(third)
    shop.deliver(shuffle=seed)
    shop.deliver(shuffle=seed + 10)
    assert (default(shop), listed(shop)) == (second, {second})
    assert shop.world.settings["paused_reason"] is None
    shop.world.spend(90)
    shop.world.check()
    assert (shop.world.topup["state"], shop.world.topup["payment_method"]) == ("succeeded", second)


@pytest.mark.parametrize("seed", range(3))
def test_last_card_removed_in_the_portal_pauses_automatic_charges(shop: Shop, seed: int) -> None:
    method = default(shop)
    assert method is not None
    shop.client.v1.payment_methods.detach(method)
    shop.deliver(shuffle=seed)
    shop.world.spend(95)
    shop.world.check()
    assert (default(shop), listed(shop), shop.charged) == (None, set(), 0)
    assert shop.world.settings["paused_reason"] == "no_payment_method"
    assert len(shop.world.notices("topup.paused")) == 1
    added = add_card(shop)
    shop.deliver()
    assert (default(shop), shop.world.settings["paused_reason"]) == (added, None)
    assert ("check_threshold", ACCOUNT) in shop.world.queue.sent
    shop.world.check()
    assert (shop.world.topup["state"], shop.charged) == ("succeeded", 1)


def test_event_of_a_removed_card_finds_its_account_although_it_names_no_customer(shop: Shop) -> None:
    method = default(shop)
    shop.client.v1.payment_methods.detach(str(method))
    event = shop.world.receive("payment_method.detached", {"id": method, "customer": None})
    assert (shop.world.event(event), default(shop)) == (("done", None), None)


def test_declined_card_that_the_bank_renews_is_charged_again(shop: Shop) -> None:
    method = default(shop)
    shop.control.behave(shop.customer, decline_code="lost_card", times=1)
    shop.world.spend(90)
    shop.deliver()
    shop.world.check()
    assert shop.world.settings["paused_reason"] == "card_declined"
    shop.deliver()
    assert shop.world.settings["paused_reason"] == "card_declined"
    shop.control.update_card(str(method), exp_year=2041)
    shop.deliver()
    assert shop.world.settings["paused_reason"] is None
    shop.world.check()
    assert (shop.world.topup["state"], shop.charged) == ("succeeded", 1)


def test_card_added_after_a_decline_is_charged_and_a_default_set_elsewhere_too(shop: Shop) -> None:
    shop.control.behave(str(default(shop)), decline_code="lost_card")
    shop.world.spend(90)
    shop.world.check()
    added = add_card(shop)
    shop.deliver(shuffle=1)
    shop.world.check()
    assert (default(shop), shop.world.topup["state"], shop.charged) == (added, "succeeded", 1)
    attached = shop.client.v1.payment_methods.attach("pm_card_amex", {"customer": shop.customer}).id
    shop.deliver()
    assert default(shop) == added
    choose(shop, attached)
    shop.deliver()
    assert default(shop) == attached


def test_t35_cards_leave_auto_topup_off(shop: Shop) -> None:
    shop.world.ledger.set_auto_topup(ACCOUNT, {"enabled": False}, "owner")
    shop.world.spend(95)
    choose(shop, add_card(shop))
    shop.control.update_card(str(default(shop)), exp_year=2041)
    shop.deliver(shuffle=2)
    shop.world.check()
    assert (shop.world.settings["enabled"], shop.charged, shop.world.topups) == (False, 0, [])


def test_setup_intent_that_is_not_ours_chooses_no_card(shop: Shop) -> None:
    method = default(shop)
    assert method is not None
    shop.client.v1.payment_methods.detach(method)
    made = shop.client.v1.setup_intents.create(
        {"customer": shop.customer, "payment_method": "pm_card_visa", "confirm": True,
         "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
    )  # fmt: skip
    shop.deliver()
    assert (default(shop), listed(shop)) == (None, {str(made.payment_method)})


def test_cards_of_other_customers_are_not_ours(shop: Shop) -> None:
    other = shop.client.v1.customers.create({"name": "Other"}).id
    method = shop.client.v1.payment_methods.attach("pm_card_visa", {"customer": other}).id
    shop.client.v1.payment_methods.detach(method)
    before = shop.world.query("select * from billing.payment_methods")
    shop.deliver()
    rows = shop.world.query("select convert_from(payload, 'UTF8')::jsonb#>>'{data,object,id}' as id, state, reason"
                            " from billing.stripe_events where type like %s", "payment_method.%")  # fmt: skip
    assert {(row["state"], row["reason"]) for row in rows if row["id"] == method} == {("ignored", "not_ours")}
    assert [row["id"] for row in before] == [
        row["id"] for row in shop.world.query("select * from billing.payment_methods")
    ]


def test_event_about_a_customer_that_stripe_deleted_pauses_for_want_of_a_card(shop: Shop) -> None:
    method = default(shop)
    shop.client.v1.customers.delete(shop.customer)
    shop.world.receive("payment_method.updated", {"id": method, "customer": shop.customer})
    assert (shop.world.settings["paused_reason"], listed(shop)) == ("no_payment_method", set())


def test_event_waits_while_stripe_is_away(shop: Shop) -> None:
    before = shop.world.query("select * from billing.customers")
    shop.control.fail(path="/v1/customers/*/payment_methods", kind=503, times=9)
    event = shop.world.receive("customer.updated", {"id": shop.customer})
    assert shop.world.event(event) == ("received", "stripe_unavailable")
    assert shop.world.query("select * from billing.customers") == before


def test_reading_that_was_overtaken_is_made_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    added = add_card(shop)
    read, readings = CardGateway.read_cards, []

    def overtaken(self: CardGateway, customer_id: str) -> dict[str, Any] | None:
        facts = read(self, customer_id)
        readings.append(facts)
        if len(readings) == 1:
            choose(shop, added)
            stripe_cards.follow(shop.world.ledger, self, ACCOUNT, "test")
        return facts

    monkeypatch.setattr(CardGateway, "read_cards", overtaken)
    stripe_cards.follow(shop.world.ledger, gateway(shop), ACCOUNT, "test")
    assert (len(readings), default(shop)) == (3, added)

    def always(self: CardGateway, customer_id: str) -> dict[str, Any] | None:
        shop.world.query("update billing.customers set cards_version = cards_version + 1")
        return read(self, customer_id)

    monkeypatch.setattr(CardGateway, "read_cards", always)
    with pytest.raises(StripeUnavailable):
        stripe_cards.follow(shop.world.ledger, gateway(shop), ACCOUNT, "test")


def test_sweep_announces_a_default_card_that_expires(shop: Shop) -> None:
    now = shop.world.query("select extract(year from now())::int y, extract(month from now())::int m")[0]
    shop.control.update_card(str(default(shop)), exp_month=now["m"], exp_year=now["y"])
    shop.deliver()
    for _ in range(2):
        maintenance.sweep(shop.world.app)
    assert len(shop.world.notices("card.expiring")) == 1


def purchase(shop: Shop) -> tuple[str, str]:
    """A purchase with a PaymentIntent of its own: payment and intent."""
    world = shop.world
    payment = world.ledger.open_purchase(f"pay_{next(world.ids)}", ACCOUNT, "small", 1, shop.customer)
    intent = gateway(shop).create_purchase_intent(
        payment,
        customer_id=shop.customer,
        description="100",
        metadata=world.app.gateway.sealer.metadata_of(payment, payment_id=payment["id"], topup_id=None),
    )
    world.ledger.attach_payment_intent(payment["id"], intent["id"])
    return payment["id"], intent["id"]


def pay(shop: Shop, intent_id: str, card: str = "pm_card_amex") -> Any:
    return shop.client.v1.payment_intents.confirm(intent_id, {"payment_method": card})


@pytest.mark.parametrize("first", ["webhook", "sweep"])
def test_purchase_without_checkout_is_granted_once_by_webhook_or_sweep(shop: Shop, first: str) -> None:
    payment_id, intent_id = purchase(shop)
    pay(shop, intent_id)
    if first == "webhook":
        shop.deliver(shuffle=3)
    for _ in range(2):
        shop.world.check_payment(payment_id)
    shop.deliver()
    row = shop.world.payment(payment_id)
    assert (row["status"], row["stripe_payment_intent_id"]) == ("succeeded", intent_id)
    assert (shop.world.grants, shop.world.balance, shop.charged, len(listed(shop))) == (1, 200, 1, 2)


def test_declined_purchase_without_checkout_may_be_paid_with_another_card(shop: Shop) -> None:
    payment_id, intent_id = purchase(shop)
    with pytest.raises(Exception, match="declined"):
        pay(shop, intent_id, "pm_card_chargeDeclined")
    shop.deliver()
    assert shop.world.payment(payment_id)["status"] == "open"
    pay(shop, intent_id)
    shop.world.check_payment(payment_id)
    assert (shop.world.payment(payment_id)["status"], shop.world.grants) == ("succeeded", 1)


def test_purchase_without_checkout_is_closed_before_a_top_up_is_charged(shop: Shop) -> None:
    payment_id, intent_id = purchase(shop)
    shop.world.spend(90)
    shop.world.check()
    assert (shop.world.payment(payment_id)["status"], shop.world.topup["state"]) == ("canceled", "succeeded")
    with pytest.raises(Exception, match="canceled"):
        pay(shop, intent_id)
    assert (shop.charged, shop.world.grants) == (1, 1)


def test_purchase_without_checkout_that_was_paid_meanwhile_makes_the_charge_unnecessary(shop: Shop) -> None:
    _payment_id, intent_id = purchase(shop)
    pay(shop, intent_id)
    shop.world.spend(90)
    shop.world.check()
    assert (shop.world.topup["state"], shop.world.topup["reason"]) == ("canceled", "no_longer_needed")
    assert (shop.charged, shop.world.grants, shop.world.balance) == (1, 1, 110)


def test_abandoned_purchase_without_checkout_is_closed_after_an_hour(shop: Shop) -> None:
    payment_id, intent_id = purchase(shop)
    shop.world.check_payment(payment_id)
    assert shop.world.payment(payment_id)["status"] == "open"
    shop.world.query("update billing.payments set created_at = created_at - interval '61 minutes'")
    shop.world.check_payment(payment_id)
    assert shop.world.payment(payment_id)["status"] == "canceled"
    assert shop.client.v1.payment_intents.retrieve(intent_id).status == "canceled"
    shop.deliver()
    assert (shop.world.grants, shop.charged) == (0, 0)
