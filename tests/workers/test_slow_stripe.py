"""A confirmation that Stripe works on for longer than anybody waits: one charge for one need, whatever happens meanwhile.

The local Stripe is only slow here: like Stripe it holds the PaymentIntent while it works; others get 429 lock_timeout.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest
import stripe

from local.stripe.app import LocalStripe
from shared.seals import Sealer
from shared.settings import Settings
from shared.stripe_client import StripeGateway
from tests.support import Database, wait_until
from tests.workers.test_with_local_stripe import CONFIRM, Shop
from tests.workers.world import ACCOUNT, CREDIT, make_world
from workers import topups

SLOW_SECONDS = 6.0  # on a busy machine the steps meanwhile take a while
ONE_CHARGE = {"day": 500, "month": 500, "per_hour": 1}


@pytest.fixture(scope="module")
def server() -> Iterator[LocalStripe]:
    with LocalStripe.start() as made:
        yield made


@pytest.fixture
def shop(
    server: LocalStripe, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    """An account whose caps allow one charge; the client's patience is that of production."""
    monkeypatch.setattr(stripe.HTTPClient, "_sleep_time_seconds", lambda *_a, **_k: 0.01)
    server.control.reset()
    client = stripe.StripeClient(
        "sk_test_123",
        max_network_retries=2,
        http_client=stripe.RequestsClient(timeout=(5, 25)),
        base_addresses={"api": server.url},
    )
    gateway = StripeGateway(client, Sealer("a test key"))
    customer = gateway.ensure_customer(ACCOUNT, "Test", "owner@example.com")
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    world = make_world(database, settings, gateway=gateway, customer=customer, method=method)
    world.enable(caps=ONE_CHARGE)
    yield Shop(world, client, server.control, customer)
    assert server.control.violations() == []
    world.assert_sound()
    world.app.ledger.database.close()
    world.connection.close()


def raise_balance(shop: Shop) -> None:
    shop.world.ledger.adjust_credits("gift", ACCOUNT, 100 * CREDIT, "a gift", "operator")


def buy(shop: Shop) -> None:
    shop.world.query("update billing.topups set confirming_at = now() - interval '3 minutes'")
    payment = shop.purchase()
    shop.control.pay_checkout(payment["stripe_checkout_session_id"])
    shop.world.check_payment(payment["id"])
    assert shop.world.payment(payment["id"])["status"] == "succeeded"


def change_card(shop: Shop) -> None:
    shop.save_card("pm_card_mastercard")


def switch_off(shop: Shop) -> None:
    shop.world.ledger.set_auto_topup(ACCOUNT, {"enabled": False}, "owner")


def dispute(shop: Shop) -> None:
    shop.world.query(
        "insert into billing.payments (id, account_id, purpose, credits, amount, currency, status)"
        " values ('old', 'acct_test', 'purchase', 1, 1, 'usd', 'canceled')"
    )
    shop.world.query(
        "insert into billing.payment_reversals"
        " (id, account_id, payment_id, kind, amount, status, is_taken, is_open, occurred_at)"
        " values ('dp', 'acct_test', 'old', 'dispute', 1, 'needs_response', false, true, now())"
    )
    shop.world.query("select billing._derive_status('acct_test')")


MEANWHILE: dict[str, Callable[[Shop], None]] = {
    "the balance rises by an adjustment": raise_balance,
    "a purchase lifts the balance": buy,
    "another card is chosen": change_card,
    "auto top-up is switched off": switch_off,
    "a dispute pauses the account": dispute,
    "nothing happens": lambda _shop: None,
}


def confirming(shop: Shop) -> threading.Thread:
    """A worker whose confirmation is with Stripe, which takes its time."""
    shop.control.slow(path=CONFIRM, seconds=SLOW_SECONDS, method="POST")
    shop.world.spend(90)
    before = len(shop.control.requests(method="POST", path=CONFIRM))

    def check() -> None:
        with contextlib.suppress(SystemExit):
            topups.check_threshold(shop.world.app, ACCOUNT)

    first = threading.Thread(target=check)
    first.start()
    wait_until(lambda: len(shop.control.requests(method="POST", path=CONFIRM)) > before, 10)
    return first


@pytest.mark.parametrize("event", MEANWHILE)
def test_while_stripe_works_on_a_confirmation_no_second_charge_opens(shop: Shop, event: str) -> None:
    first = confirming(shop)
    topup_id = shop.world.topup["id"]
    MEANWHILE[event](shop)
    topups.charge_topup(shop.world.app, topup_id, True)  # another worker, as after a lease that was too short
    # Stripe has not said what became of it: it is live, and counts.
    during = shop.world.topup
    assert [during["dead_at"], during["state"] in ("processing", "canceling")] == [None, True]
    if shop.world.balance > 20:
        shop.world.spend(int(shop.world.balance) - 5)
    shop.world.check()
    assert len(shop.world.topups) == 1
    assert shop.world.ledger.get_auto_topup(ACCOUNT)["spent"]["day"] == 500
    first.join(timeout=30)
    shop.control.slow(path=CONFIRM, seconds=0, method="POST")
    shop.world.charge()
    assert [shop.world.topup["state"], len(shop.world.topups)] == ["succeeded", 1]
    assert [shop.charged - (event == "a purchase lifts the balance"), shop.world.grants] == [
        1,
        1 + (event == "a purchase lifts the balance"),
    ]


def test_a_worker_that_dies_over_a_slow_confirmation_leaves_one_charge(shop: Shop) -> None:
    """Killed between the confirmation and its answer; the balance has risen when another worker comes."""
    first = confirming(shop)
    raise_balance(shop)
    dead = shop.world.app.ledger.settle_payment

    def die(*_arguments: object) -> NoReturn:
        raise SystemExit

    shop.world.app.ledger.settle_payment = die  # type: ignore[method-assign]
    first.join(timeout=30)
    shop.world.app.ledger.settle_payment = dead  # type: ignore[method-assign]
    assert shop.world.topup["dead_at"] is None
    shop.world.spend(100)
    shop.world.check()
    assert len(shop.world.topups) == 1
    shop.world.charge()
    assert [shop.world.topup["state"], shop.charged, shop.world.grants] == ["succeeded", 1, 1]


def test_a_lost_confirmation_that_comes_through_later_is_the_only_charge(shop: Shop) -> None:
    """The other form: the answer never comes, the balance rises, and Stripe is still busy when it is canceled."""
    shop.world.app.gateway.client = stripe.StripeClient(
        "sk_test_123",
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=(5, 1)),
        base_addresses={"api": shop.client._requestor._options.base_addresses["api"]},  # type: ignore[typeddict-item]
    )
    shop.control.slow(path=CONFIRM, seconds=SLOW_SECONDS + 2, method="POST")
    shop.world.spend(90)
    shop.world.check()
    assert shop.world.topup["state"] == "unknown"
    raise_balance(shop)
    shop.world.charge()
    assert [shop.world.topup["state"], shop.world.topup["reason"]] == ["canceling", "no_longer_needed"]
    shop.world.spend(100)
    shop.world.check()
    assert len(shop.world.topups) == 1
    shop.control.slow(path=CONFIRM, seconds=0, method="POST")
    wait_until(lambda: shop.charged == 1, 15)
    shop.world.charge()
    assert [shop.world.topup["state"], shop.charged, shop.world.grants] == ["succeeded", 1, 1]


@pytest.mark.parametrize("event", ["the balance rises by an adjustment", "another card is chosen"])
def test_what_is_canceled_in_time_takes_nothing_and_makes_room(shop: Shop, event: str) -> None:
    """The confirmation was lost on its way: Stripe cancels, and the next charge may open."""
    shop.control.fail(path=CONFIRM, kind="cut", stage="before", saved=False, times=3)
    shop.world.spend(90)
    shop.world.check()
    assert shop.world.topup["state"] == "unknown"
    MEANWHILE[event](shop)
    shop.world.charge()
    assert [shop.world.topup["state"], shop.charged] == ["canceled", 0]
    if shop.world.balance > 20:
        shop.world.spend(100)
    shop.world.check()
    assert [topup["state"] for topup in shop.world.topups] == ["canceled", "succeeded"]
    assert shop.charged == 1
