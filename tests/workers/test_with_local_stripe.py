"""Charges and purchases against the local Stripe: real requests, idempotency, events, refusals."""

from __future__ import annotations

import dataclasses
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from dramatiq.middleware import TimeLimitExceeded

from local.stripe.app import LocalStripe
from local.stripe.control import Control
from shared.seals import Sealer
from shared.settings import Settings
from shared.stripe_client import StripeGateway
from tests.support import Database
from tests.workers.world import ACCOUNT, CREDIT, World, make_world
from workers import events

CONFIRM = "/v1/payment_intents/*/confirm"
CREATE = "/v1/payment_intents"
# The account's own card was attached, too.
MONEY_EVENTS = "select state from billing.stripe_events where type !~ '^payment_method'"


@dataclasses.dataclass
class Shop:
    """An account whose customer and card exist at the local Stripe."""

    world: World
    client: stripe.StripeClient
    control: Control
    customer: str

    @property
    def charged(self) -> int:
        """How often money was really taken."""
        return int(self.control.charges(customer=self.customer)["succeeded"])

    def save_card(self, name: str) -> str:
        method = self.client.v1.payment_methods.attach(name, {"customer": self.customer})
        self.world.ledger.set_default_payment_method(ACCOUNT, method.id, {"fingerprint": method.id}, "test")
        return method.id

    def purchase(self) -> dict[str, Any]:
        world = self.world
        payment = world.ledger.open_purchase(f"pay_{next(world.ids)}", ACCOUNT, "small", 1, self.customer)
        session = world.app.gateway.create_checkout_session(
            payment,
            customer_id=self.customer,
            product_name="100 credits",
            success_url="https://app.test/ok",
            cancel_url="https://app.test/no",
        )
        return dict(world.ledger.attach_checkout_session(payment["id"], session["id"], session["url"]))

    def deliver(self, *, shuffle: int | None = None) -> None:
        """Every event so far, in any order; those that the charging actor is asked to take up, too."""
        found = [event.to_dict() for event in self.client.v1.events.list({"limit": 100}).data]
        if shuffle is not None:
            random.Random(shuffle).shuffle(found)
        for event in found:
            raw = json.dumps(event).encode()
            self.world.ledger.record_stripe_event(
                event["id"], event["type"], None, False, None, raw, None, None
            )
            events.process_event(self.world.app, event["id"])


@pytest.fixture(scope="module")
def server() -> Iterator[LocalStripe]:
    with LocalStripe.start() as made:
        yield made


@pytest.fixture
def shop(
    server: LocalStripe, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    monkeypatch.setattr(stripe.HTTPClient, "_sleep_time_seconds", lambda *_a, **_k: 0.01)
    server.control.reset()
    client = stripe.StripeClient(
        "sk_test_123",
        max_network_retries=2,
        http_client=stripe.RequestsClient(timeout=(1, 1)),
        base_addresses={"api": server.url},
    )
    gateway = StripeGateway(client, Sealer("a test key"))
    customer = gateway.ensure_customer(ACCOUNT, "Test", "owner@example.com")
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    world = make_world(database, settings, gateway=gateway, customer=customer, method=method)
    yield Shop(world, client, server.control, customer)
    assert server.control.violations() == []
    world.assert_sound()
    world.app.ledger.database.close()
    world.connection.close()


def test_top_up_charges_the_saved_card_and_keeps_the_receipt(shop: Shop) -> None:
    shop.world.spend(90)
    shop.world.check()
    payment = shop.world.payment(shop.world.topup["payment_id"])
    assert [shop.world.topup["state"], shop.charged, shop.world.balance] == ["succeeded", 1, 110]
    assert [payment["status"], payment["receipt_url"][:4]] == ["succeeded", "http"]
    assert payment["stripe_payment_intent_id"] == shop.world.topup["stripe_payment_intent_id"]


@pytest.mark.parametrize("seed", range(3))
def test_events_of_a_top_up_change_nothing_more(shop: Shop, seed: int) -> None:
    """No. 3."""
    shop.world.spend(90)
    shop.world.check()
    shop.deliver(shuffle=seed)
    shop.deliver(shuffle=seed + 10)
    assert [shop.world.grants, shop.world.balance, shop.charged] == [1, 110, 1]


@pytest.mark.parametrize("seed", range(3))
def test_purchase_is_granted_once_and_saves_the_card(shop: Shop, seed: int) -> None:
    payment = shop.purchase()
    shop.control.pay_checkout(payment["stripe_checkout_session_id"])
    shop.deliver(shuffle=seed)
    shop.world.check_payment(payment["id"])
    row = shop.world.payment(payment["id"])
    assert [row["status"], shop.world.grants, shop.world.balance] == ["succeeded", 1, 200]
    assert row["receipt_url"]


def test_purchase_with_a_delayed_method_is_granted_when_it_settles(shop: Shop) -> None:
    """No. 28."""
    payment = shop.purchase()
    session = shop.control.pay_checkout(payment["stripe_checkout_session_id"], outcome="async")
    shop.deliver()
    assert [shop.world.payment(payment["id"])["status"], shop.world.grants] == ["processing", 0]
    shop.control.settle(session["payment_intent"])
    shop.deliver()
    assert [shop.world.payment(payment["id"])["status"], shop.world.grants] == ["succeeded", 1]


def test_purchase_whose_delayed_method_fails_is_failed(shop: Shop) -> None:
    payment = shop.purchase()
    session = shop.control.pay_checkout(payment["stripe_checkout_session_id"], outcome="async")
    shop.control.settle(session["payment_intent"], outcome="failed")
    shop.world.check_payment(payment["id"])
    assert [shop.world.payment(payment["id"])["status"], shop.world.grants] == ["failed", 0]


def test_checkout_is_closed_before_the_card_is_charged(shop: Shop) -> None:
    payment = shop.purchase()
    shop.world.spend(90)
    shop.world.check()
    assert [shop.world.payment(payment["id"])["status"], shop.world.topup["state"]] == [
        "canceled",
        "succeeded",
    ]
    with pytest.raises(Exception, match="expired"):
        shop.control.pay_checkout(payment["stripe_checkout_session_id"])
    assert shop.charged == 1


def test_checkout_paid_meanwhile_makes_the_charge_unnecessary(shop: Shop) -> None:
    payment = shop.purchase()
    shop.control.pay_checkout(payment["stripe_checkout_session_id"])
    shop.world.spend(90)
    shop.world.check()
    assert [shop.world.topup["state"], shop.world.topup["reason"]] == ["canceled", "no_longer_needed"]
    assert [shop.charged, shop.world.balance] == [1, 110]
    intent = shop.world.app.gateway.retrieve_intent(shop.world.topup["stripe_payment_intent_id"])
    assert intent["status"] == "canceled"


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        pytest.param({"kind": 500, "stage": "after"}, "unknown", id="no. 34: 500 after the charge, saved"),
        pytest.param(
            {"kind": "cut", "stage": "after", "saved": False, "times": 3}, "unknown", id="no. 35: cut"
        ),
        pytest.param(
            {"kind": "cut", "stage": "before", "times": 3}, "unknown", id="cut before it was executed"
        ),
        pytest.param(
            {"kind": "timeout", "stage": "after", "seconds": 1.5, "times": 3}, "unknown", id="time-out"
        ),
        pytest.param({"kind": 503, "stage": "before", "times": 3}, "unknown", id="503 before"),
        pytest.param({"kind": "lock_timeout", "times": 3}, "processing", id="no. 52: lock_timeout"),
        pytest.param({"kind": "rate_limit", "times": 3}, "processing", id="no. 52: rate limit"),
        pytest.param({"kind": "conflict", "times": 3}, "processing", id="no. 37: key in use"),
    ],
)
def test_lost_or_refused_confirmation_ends_in_one_charge_and_one_grant(
    shop: Shop, fault: dict[str, Any], state: str
) -> None:
    shop.world.spend(90)
    shop.control.fail(path=CONFIRM, **fault)
    shop.world.check()
    seen = shop.world.topup["state"]
    shop.control.clear_faults()
    for _ in range(3):
        shop.world.charge()
    assert seen in (state, "succeeded")
    assert [shop.world.topup["state"], shop.charged, shop.world.grants] == ["succeeded", 1, 1]
    assert [shop.world.settings["declines"], shop.world.settings["paused_reason"]] == [0, None]


def test_saved_500_that_never_executed_is_left_behind(shop: Shop) -> None:
    """Stripe would replay it for a day: the PaymentIntent is canceled, and another top-up charges."""
    shop.world.spend(90)
    shop.control.fail(path=CONFIRM, kind=500, stage="before", saved=True, times=1)
    shop.world.check()
    shop.world.charge()
    assert [shop.world.topup["state"], shop.charged] == ["canceled", 0]
    shop.world.check()
    assert [shop.world.topup["state"], shop.charged, shop.world.grants] == ["succeeded", 1, 1]


def test_lost_answer_to_create_makes_no_second_intent(shop: Shop) -> None:
    """No. 31."""
    shop.world.spend(90)
    shop.control.fail(path=CREATE, method="post", kind="cut", stage="after", saved=True, times=3)
    shop.world.check()
    shop.control.clear_faults()
    shop.world.charge()
    made = shop.client.v1.payment_intents.list({"customer": shop.customer}).data
    assert [len(made), shop.charged, shop.world.grants] == [1, 1, 1]


@pytest.mark.parametrize(
    ("decline", "advice", "paused"),
    [("insufficient_funds", "try_again_later", None), ("lost_card", "do_not_try_again", "card_declined")],
)
def test_declines_follow_stripes_codes(shop: Shop, decline: str, advice: str, paused: str | None) -> None:
    """Nos. 44 and 45; the event of the decline changes nothing more."""
    shop.control.behave(shop.customer, decline_code=decline, advice_code=advice)
    shop.world.spend(90)
    shop.world.check()
    shop.deliver()
    assert [shop.world.topup["state"], shop.world.topup["decline_code"]] == ["declined", decline]
    assert [shop.world.settings["declines"], shop.world.settings["paused_reason"]] == [1, paused]
    assert [shop.world.grants, len(shop.world.topups)] == [0, 1]


def test_authentication_is_confirmed_by_a_person_on_session(shop: Shop) -> None:
    """No. 46: no background retry; the same PaymentIntent, confirmed on session, grants once."""
    shop.save_card("pm_card_authenticationRequired")
    shop.world.spend(90)
    shop.world.check()
    intent_id = shop.world.topup["stripe_payment_intent_id"]
    assert [shop.world.topup["state"], shop.charged] == ["action_required", 0]
    shop.deliver()
    shop.world.charge()
    method = shop.world.topup["payment_method"]
    confirmed = shop.client.v1.payment_intents.confirm(
        intent_id, {"payment_method": method, "return_url": "https://app.test"}
    )
    assert confirmed.status == "requires_action"
    shop.control.authenticate(intent_id)
    shop.deliver()
    assert [shop.world.topup["state"], shop.charged, shop.world.grants] == ["succeeded", 1, 1]


def test_processing_charge_is_settled_by_the_sweep(shop: Shop) -> None:
    shop.control.behave(shop.customer, outcome="processing")
    shop.world.spend(90)
    shop.world.check()
    assert shop.world.topup["state"] == "processing"
    shop.control.settle(shop.world.topup["stripe_payment_intent_id"])
    shop.world.charge()
    assert [shop.world.topup["state"], shop.world.grants] == ["succeeded", 1]


def test_detached_card_pauses_and_another_card_resumes(shop: Shop) -> None:
    """Nos. 47 and 48."""
    shop.client.v1.payment_methods.detach(
        shop.world.query("select * from billing.customers")[0]["default_payment_method"]
    )
    shop.world.spend(90)
    shop.world.check()
    assert [shop.world.topup["state"], shop.world.settings["paused_reason"]] == [
        "canceled",
        "payment_method_unusable",
    ]
    shop.save_card("pm_card_mastercard")
    shop.world.check()
    assert [shop.world.topup["state"], shop.charged] == ["succeeded", 1]


def test_deleted_customer_pauses_then_switches_off_and_keeps_the_books(shop: Shop) -> None:
    """No. 49: found by the charge, then told by the event."""
    shop.client.v1.customers.delete(shop.customer)
    shop.world.spend(90)
    shop.world.check()
    settings = shop.world.settings
    assert [shop.world.topup["state"], settings["paused_reason"], shop.charged] == [
        "canceled",
        "no_payment_method",
        0,
    ]
    shop.deliver()
    assert shop.world.settings["enabled"] is False
    assert shop.world.balance == 10


def test_changed_parameters_find_the_intent_that_the_key_made(shop: Shop) -> None:
    """No. 36: Stripe refuses the key, and nothing is made or charged beside what the top-up has."""
    shop.world.spend(90)
    shop.world.check()
    topup = shop.world.ledger.find_topup(shop.world.topup["id"])
    assert topup is not None
    topup["amount"] = 600
    found = shop.world.app.gateway.create_topup_intent(topup)
    assert (found["id"], found["amount"]) == (topup["stripe_payment_intent_id"], 500)
    assert shop.charged == 1


def test_payment_made_in_the_dashboard_is_not_ours(shop: Shop) -> None:
    """No. 25."""
    shop.control.pay_from_dashboard(customer=shop.customer)
    shop.deliver()
    assert [shop.world.grants, shop.world.balance] == [0, 100]
    states = {row["state"] for row in shop.world.query(MONEY_EVENTS)}
    assert states == {"ignored"}


def test_another_customers_payment_with_our_metadata_is_parked(shop: Shop) -> None:
    """No. 30."""
    payment = shop.purchase()
    other = shop.client.v1.customers.create({"name": "Other"}).id
    method = shop.client.v1.payment_methods.attach("pm_card_visa", {"customer": other}).id
    shop.client.v1.payment_intents.create(
        {
            "amount": 500,
            "currency": "usd",
            "customer": other,
            "payment_method": method,
            "confirm": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": {"refill_payment_id": payment["id"], "refill_account_id": ACCOUNT},
        }
    )
    shop.deliver()
    row = shop.world.payment(payment["id"])
    assert [row["status"], row["reason"], shop.world.grants] == ["parked", "customer_mismatch", 0]


def test_a_burst_of_usage_is_one_charge(shop: Shop) -> None:
    """No. 40, in one batch."""
    batch = [{"id": f"b{n}", "account_id": ACCOUNT, "amount": CREDIT, "quantity": 1} for n in range(100)]
    due = shop.world.ledger.record_usage(batch, park=True)["topup_due"]
    assert due == [ACCOUNT]
    for _ in range(5):
        shop.world.check()
    assert [shop.charged, shop.world.balance] == [1, 100]


def test_four_days_without_any_webhook_are_caught_up_without_duplicates(shop: Shop) -> None:
    """No. 22: the endpoint was disabled; objects are asked meanwhile, and the old events come at the end."""
    paid = shop.purchase()
    shop.control.pay_checkout(paid["stripe_checkout_session_id"])
    late = shop.purchase()
    session = shop.control.pay_checkout(late["stripe_checkout_session_id"], outcome="async")
    shop.world.check_payment(paid["id"])
    shop.world.check_payment(late["id"])
    assert [shop.world.payment(row["id"])["status"] for row in (paid, late)] == ["succeeded", "processing"]

    shop.world.query("update billing.payments set created_at = created_at - interval '4 days'")
    shop.control.settle(session["payment_intent"])
    shop.world.query("update billing.payments set next_check_at = now() where status = 'processing'")
    for payment_id in shop.world.ledger.due_work(10)["payments"]:
        shop.world.check_payment(payment_id)
    assert [shop.world.grants, shop.world.balance] == [2, 300]
    shop.deliver()
    assert [shop.world.grants, shop.world.balance] == [2, 300]


@pytest.mark.parametrize("hours", [1, -1])
def test_the_clock_of_the_host_decides_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """No. 68: a declined card waits its hour by the database's clock, whatever the worker's says."""
    shop.control.behave(shop.customer, decline_code="insufficient_funds", times=1)
    shop.world.spend(90)
    shop.world.check()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + hours * 3600 + hours)
    assert shop.world.ledger.due_work(10)["accounts"] == []
    shop.world.check()
    assert [len(shop.world.topups), shop.charged] == [1, 0]
    shop.world.age("61 minutes")
    shop.world.check()
    shop.world.check()
    assert [shop.world.topup["state"], shop.charged, shop.world.grants] == ["succeeded", 1, 1]


def test_a_time_limit_between_stripes_answer_and_the_commit_charges_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No. 69: Dramatiq raises it between any two instructions; nothing catches it on the way."""
    confirm = StripeGateway.confirm_topup_intent

    def interrupted(self: StripeGateway, topup_id: str, intent_id: str) -> Any:
        confirm(self, topup_id, intent_id)
        raise TimeLimitExceeded

    shop.world.spend(90)
    monkeypatch.setattr(StripeGateway, "confirm_topup_intent", interrupted)
    with pytest.raises(TimeLimitExceeded):
        shop.world.check()
    monkeypatch.setattr(StripeGateway, "confirm_topup_intent", confirm)
    assert [shop.world.topup["state"], shop.charged, shop.world.grants] == ["processing", 1, 0]
    shop.world.charge()
    assert [shop.world.topup["state"], shop.charged, shop.world.grants] == ["succeeded", 1, 1]
