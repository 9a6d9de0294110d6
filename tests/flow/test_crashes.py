"""Promise 7: any process, Redis or PostgreSQL may be killed at any step; afterwards the books are the same."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest

from local.scene import THRESHOLD, TOPUP
from tests.flow.world import BOUGHT, SIGNUP, Account, Load, World
from tests.support import wait_until

pytestmark = pytest.mark.xdist_group("flow-crashes")
CREATE = "/v1/payment_intents"
CONFIRM = "/v1/payment_intents/*/confirm"

# Each point is a context in which the debit is made: inside it, payments has come exactly so far.
Point = Callable[[World, Account], Iterator[None]]


def message_waits(world: World, account: Account) -> Iterator[None]:
    """The debit is committed, nobody has looked at it yet."""
    world.process("payments").signal(signal.SIGSTOP)
    account.cross_threshold()
    yield


def create_on_its_way(world: World, account: Account) -> Iterator[None]:
    """The request for a PaymentIntent hangs, and never arrives."""
    world.stripe.do("fail", kind="timeout", path=CREATE, method="POST", stage="before", seconds=2)
    before = world.requests(CREATE)
    account.cross_threshold()
    world.await_request(CREATE, after=before)
    yield


def create_answered_to_nobody(world: World, account: Account) -> Iterator[None]:
    """The PaymentIntent is made; the answer hangs."""
    world.stripe.do("fail", kind="timeout", path=CREATE, method="POST", stage="after", seconds=2)
    before = world.requests(CREATE)
    account.cross_threshold()
    world.await_request(CREATE, after=before)
    yield


def intent_not_stored(world: World, account: Account) -> Iterator[None]:
    """The PaymentIntent is made; storing its id waits for a lock."""
    world.stripe.do("slow", path=CREATE, method="POST", seconds=0.7)
    before = world.requests(CREATE)
    account.cross_threshold()
    world.await_request(CREATE, after=before)
    with world.holding("select 1 from billing.topups where account_id = %s for update", account.id):
        world.await_lock_wait()
        yield


def confirm_on_its_way(world: World, account: Account) -> Iterator[None]:
    """The confirmation hangs, and never arrives."""
    world.stripe.do("fail", kind="timeout", path=CONFIRM, method="POST", stage="before", seconds=2)
    before = world.requests(CONFIRM)
    account.cross_threshold()
    world.await_request(CONFIRM, after=before)
    yield


def confirm_takes_effect_later(world: World, account: Account) -> Iterator[None]:
    """The confirmation is with Stripe, which charges when the process is long dead."""
    world.stripe.do("slow", path=CONFIRM, method="POST", seconds=4)
    before = world.requests(CONFIRM)
    account.cross_threshold()
    world.await_request(CONFIRM, after=before)
    yield
    world.stripe.do("slow", path=CONFIRM, method="POST", seconds=0)


def confirm_answered_to_nobody(world: World, account: Account) -> Iterator[None]:
    """The card is charged; the answer hangs."""
    world.stripe.do("fail", kind="timeout", path=CONFIRM, method="POST", stage="after", seconds=2)
    charged = world.stripe.look("charges", customer=account.customer)["succeeded"]
    account.cross_threshold()
    wait_until(lambda: world.stripe.look("charges", customer=account.customer)["succeeded"] > charged, 10)
    yield


def grant_not_booked(world: World, account: Account) -> Iterator[None]:
    """The card is charged and the answer is there; booking the grant waits for the account's lock."""
    world.stripe.do("slow", path=CONFIRM, method="POST", seconds=0.7)
    before = world.requests(CONFIRM)
    account.cross_threshold()
    world.await_request(CONFIRM, after=before)
    with world.holding("select 1 from billing.credit_balances where account_id = %s for update", account.id):
        world.await_lock_wait()
        yield


POINTS: list[Point] = [
    message_waits,
    create_on_its_way,
    create_answered_to_nobody,
    intent_not_stored,
    confirm_on_its_way,
    confirm_takes_effect_later,
    confirm_answered_to_nobody,
    grant_not_booked,
]


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.__name__)
def test_payments_killed_between_debit_and_grant(world: World, account: Account, point: Point) -> None:
    """No. 31 to 35: kill -9, start again, one sweep: charged once, granted once. Webhooks are lost as well."""
    world.stripe.do("webhooks", action="lose")
    with contextmanager(point)(world, account):
        world.kill("payments")
    world.restart("payments")
    account.await_balance(THRESHOLD + TOPUP, 15, sweep=True)
    world.await_stragglers()
    account.assert_charged_once()


def test_worker_killed_while_processing_an_event(world: World) -> None:
    """The event is asked about at Stripe when its worker dies; the row finds another."""
    account = world.account(topup=False)
    path = "/v1/checkout/sessions/*"
    world.stripe.do("slow", path=path, method="GET", seconds=1)
    asked = world.requests(path, "GET")
    account.pay(account.checkout())
    world.await_request(path, "GET", after=asked)
    world.kill("worker")
    world.stripe.do("clear_faults")
    world.restart("worker")
    world.sweep()
    account.await_balance(SIGNUP + 2 * BOUGHT)
    account.assert_charges(2)


def test_redis_flushed_and_killed_under_load(world: World, account: Account) -> None:
    """No. 62: spends go on; what crossed the threshold meanwhile is charged once."""
    with Load(account) as load:
        wait_until(lambda: len(load.booked) > 20, 10)
        world.stack.services.redis.flush()
        account.cross_threshold()
        world.stack.services.redis.flush()
        world.stack.services.redis.kill()
        spent = len(load.booked)
        wait_until(lambda: len(load.booked) > spent + 10, 10)
        world.stack.services.redis.start()
    assert_all_booked(account, load, sweep=True)


def test_postgres_killed_under_load(world: World, account: Account) -> None:
    """No. 66: refused with 503 meanwhile, sent again with the same ids: nothing lost, nothing double."""
    with Load(account) as load:
        wait_until(lambda: len(load.booked) > 20, 10)
        world.stack.services.postgres.kill()
        time.sleep(0.5)
        world.stack.services.postgres.start()
        spent = len(load.booked)
        wait_until(lambda: len(load.booked) > spent + 20, 12)
        account.cross_threshold()
    assert_all_booked(account, load, sweep=True)


def assert_all_booked(account: Account, load: Load, *, sweep: bool) -> None:
    spent = Decimal(SIGNUP + BOUGHT - THRESHOLD) + len(load.booked) * Decimal("0.01")
    account.await_balance(SIGNUP + BOUGHT + TOPUP - spent, 15, sweep=sweep)
    account.assert_charged_once()


def test_redis_away_when_a_webhook_comes(world: World) -> None:
    """No. 20: 200, and granted once the queue is back."""
    account = world.account(topup=False)
    checkout = account.checkout()
    redis = world.stack.services.redis
    redis.kill()
    try:
        account.pay(checkout)
        wait_until(lambda: world.stripe.look("idle"), 10, "the webhooks to be taken")
        sent = world.stripe.look("deliveries", type="checkout.session.completed")[-1]
        assert (sent["last_status"], sent["attempts"]) == (200, 1)
        assert account.balance == SIGNUP + BOUGHT
    finally:
        redis.start()
    account.await_balance(SIGNUP + 2 * BOUGHT, 12, sweep=True)
    account.assert_charges(2)


def test_postgres_away_when_a_webhook_comes(world: World) -> None:
    """No. 19: 503, and Stripe sends it again."""
    account = world.account(topup=False)
    checkout = account.checkout()
    postgres = world.stack.services.postgres
    postgres.kill()
    try:
        account.pay(checkout)
        wait_until(
            lambda: (
                world.stripe.look("deliveries", type="checkout.session.completed")[-1]["last_status"] == 503
            ),
            20,
            "the webhook to be refused",
        )
    finally:
        postgres.start()
    account.await_balance(SIGNUP + 2 * BOUGHT, 15)
    account.assert_charges(2)
