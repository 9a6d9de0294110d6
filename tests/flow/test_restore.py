"""No. 71: an older backup is put in place, and `reconcile --since` brings back everything that was paid since."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import stripe
from psycopg import sql

from local.scene import THRESHOLD, TOPUP
from local.stack import Stack
from tests.flow.test_reconciliation import books
from tests.flow.world import BOUGHT, SIGNUP, Account, World
from tests.support import wait_until

pytestmark = pytest.mark.xdist_group("flow-restore")
CONFIRM = "/v1/payment_intents/*/confirm"
BACKUP = sql.Identifier("refill_backup")


@pytest.fixture
def own_world() -> Iterator[World]:
    """A stack of the test's own, because its database is replaced."""
    with Stack(settings={"SIGNUP_CREDITS": str(SIGNUP)}, supervise=False) as stack:
        world = World(stack)
        yield world
        world.close()


class Backup:
    """A copy of a running stack's database, as it was at one moment."""

    def __init__(self, world: World) -> None:
        self.name = sql.Identifier(urlsplit(world.database_url).path[1:])
        self.url = urlsplit(world.database_url)._replace(path="/template1").geturl()

    def take(self) -> None:
        """Nobody may be connected to what is copied, so everybody is thrown out and comes back."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            self._close(connection)
            connection.execute(
                sql.SQL("create database {} template {} strategy file_copy").format(BACKUP, self.name)
            )
            connection.execute(sql.SQL("alter database {} allow_connections true").format(self.name))

    def restore(self) -> None:
        """Puts the copy in the place of the database."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            self._close(connection)
            connection.execute(sql.SQL("drop database {} with (force)").format(self.name))
            connection.execute(sql.SQL("alter database {} rename to {}").format(BACKUP, self.name))

    def _close(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(sql.SQL("alter database {} allow_connections false").format(self.name))
        others = "from pg_stat_activity where datname = %s and pid <> pg_backend_pid()"
        name = self.name.as_string(connection).strip('"')

        def alone() -> bool:
            connection.execute(f"select pg_terminate_backend(pid) {others}".encode(), [name])
            return connection.execute(f"select count(*) {others}".encode(), [name]).fetchone() == (0,)

        wait_until(alone, 10, "everybody to let go of the database")


def paid(world: World, account: Account) -> dict[str, Any]:
    """What reconciliation promises to bring back: all that was paid for, and taken back, without what usage drew."""
    found = books(world, account)
    del found["balance"]
    found["lots"] = sorted((kind, granted) for kind, granted, _remaining in found["lots"])
    found["entries"] = [entry for entry in found["entries"] if entry[0] not in ("usage", "spend")]
    return found


def charged(world: World, *accounts: Account) -> list[dict[str, Any]]:
    return [world.stripe.look("charges", customer=account.customer) for account in accounts]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_was_paid_since_the_backup_comes_back_and_nothing_is_charged_twice(own_world: World) -> None:
    world = own_world
    client = stripe.StripeClient(
        world.settings.stripe_secret_key.get_secret_value(),  # type: ignore[union-attr]
        base_addresses={"api": str(world.settings.stripe_api_base)},
    )
    old, underway = world.account(), world.account()
    [bought_before] = payments(world, old)

    # The backup is made while a charge is on its way: open here, paid at Stripe a moment later.
    world.stripe.do("slow", path=CONFIRM, method="POST", seconds=3)
    underway.cross_threshold()
    world.await_request(CONFIRM)
    backup = Backup(world)
    backup.take()
    world.stripe.do("clear_faults")
    underway.await_balance(THRESHOLD + TOPUP, 60, sweep=True)

    spend_since(world, client, old, bought_before)
    new = world.account(topup=False)
    settle(world)

    accounts = (old, underway, new)
    before = {account.id: paid(world, account) for account in accounts}
    balances = {account.id: account.balance for account in accounts}
    charges = charged(world, *accounts)
    assert before[old.id]["subscriptions"]
    assert len(before[old.id]["reversals"]) == 2
    assert len(before[old.id]["invoices"]) == 2

    put_in_place(world, backup)
    assert {account.id: paid(world, account) for account in accounts} != before, "or the backup was not older"
    assert underway.topups[0]["state"] == "processing", "the backup has it as sent and not answered"
    assert "Stripe and the books agree." in world.stack.flask("reconcile", "--since", "2h")
    for account in accounts:
        assert paid(world, account) == before[account.id], account.id
    assert charged(world, *accounts) == charges

    start_the_rest(world)
    for account in accounts:
        world.sweep(account)
    settle(world)
    assert old.balance == balances[old.id] + SIGNUP + BOUGHT + 250 - THRESHOLD, "usage since is lost"
    assert old.spend(SIGNUP + BOUGHT + 250 - THRESHOLD, "since-1").status_code == 200, "and is sent again"
    settle(world)
    assert {account.id: account.balance for account in accounts} == balances
    assert charged(world, *accounts) == charges
    assert "repaired" not in world.stack.flask("reconcile", "--since", "2h")
    world.assert_sound()


def spend_since(world: World, client: stripe.StripeClient, account: Account, first: dict[str, Any]) -> None:
    """What an account does after the backup: a purchase, a top-up, refunds of both kinds, a subscription with a renewal."""
    account.pay(account.checkout("credits_250"))
    account.await_balance(SIGNUP + BOUGHT + 250, sweep=True)
    assert account.spend(SIGNUP + BOUGHT + 250 - THRESHOLD, "since-1").status_code == 200
    account.await_balance(THRESHOLD + TOPUP, 30)
    client.v1.refunds.create({"payment_intent": first["intent"], "amount": first["amount"] // 4})
    topup = next(row for row in payments(world, account) if row["purpose"] == "topup")
    client.v1.refunds.create({"payment_intent": topup["intent"], "amount": topup["amount"] // 2})
    account.await_balance(THRESHOLD + TOPUP - BOUGHT // 4 - TOPUP // 2, 30, sweep=True)
    session = world.stripe.do(
        f"checkout/{account.session_id(account.api.post('/api/billing/checkout-sessions', plan_id='starter'))}/pay"
    )
    world.stripe.do("renew", id=session["subscription"])


def put_in_place(world: World, backup: Backup) -> None:
    """Steps 1 and 2 of docs/operations.md, up to the command."""
    for program in world.stack.programs.values():
        program.stop()
    backup.restore()
    world.reconnect()
    world.restart("worker")


def start_the_rest(world: World) -> None:
    """Step 3."""
    world.restart("payments")
    world.restart("scheduler")
    world.stack.programs["web"].start()
    wait_until(world.answers, 30, "web to answer")


def payments(world: World, account: Account) -> list[dict[str, Any]]:
    return world.query(
        "select purpose, amount, stripe_payment_intent_id as intent from billing.payments where account_id = %s"
        " order by created_at",
        account.id,
    )


def settle(world: World) -> None:
    """Until every event that Stripe has sent is worked off, and no charge is open."""
    open_work = (
        "select 1 from billing.stripe_events where state = 'received'"
        " union all select 1 from billing.topups where finished_at is null and state <> 'succeeded'"
    )
    wait_until(
        lambda: world.stripe.look("idle") and not world.query(open_work), 60, "everything to be worked off"
    )
