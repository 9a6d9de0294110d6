"""Promise 2: a day without any webhook ends, after reconciliation, in the books of a day with all of them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import stripe

from tests.flow.world import Account, World
from tests.support import wait_until

pytestmark = pytest.mark.xdist_group("flow-money")


def story(world: World, account: Account, settled: Any) -> None:
    """A month's worth of money: purchases, a top-up, refunds, disputes, a subscription with a renewal, another card."""
    client = stripe.StripeClient(
        world.settings.stripe_secret_key.get_secret_value(),  # type: ignore[union-attr]
        base_addresses={"api": str(world.settings.stripe_api_base)},
    )
    first, second = account.checkout("credits_250"), account.checkout("credits_600")
    for checkout in (first, second):
        account.pay(checkout)
    account.await_balance(150 + 250 + 600, timeout=200, sweep=True)
    account.enable_topup()
    assert account.spend(960).status_code == 200
    account.await_balance(140, timeout=30)
    # Or the refunds below would bring a second charge, sooner or later.
    account.api.put("/api/billing/auto-topup", enabled=False)

    intents = {
        row["id"]: row["intent"]
        for row in world.query("select id, stripe_payment_intent_id as intent from billing.payments")
    }
    refund = client.v1.refunds.create({"payment_intent": intents[first["id"]], "amount": 250})
    client.v1.refunds.create({"payment_intent": intents[second["id"]], "amount": 500})
    world.stripe.do("fail_refund", id=refund.id)
    topup = world.query(
        "select p.stripe_charge_id from billing.payments p where purpose = 'topup' and account_id = %s",
        account.id,
    )
    dispute = world.stripe.do("open_dispute", charge=topup[0]["stripe_charge_id"])
    settled()
    world.stripe.do("close_dispute", id=dispute["id"], won=True)
    bought = account.api.post("/api/billing/checkout-sessions", plan_id="starter")
    session = world.stripe.do(f"checkout/{account.session_id(bought)}/pay")
    settled()
    world.stripe.do("renew", id=session["subscription"])
    client.v1.payment_methods.attach("pm_card_mastercard", {"customer": account.customer})
    settled()


def books(world: World, account: Account) -> dict[str, Any]:
    """What an account owns and owes, without ids and times; what was taken and given back again is nothing."""

    def rows(columns: str, table: str, rest: str = "") -> list[tuple[Any, ...]]:
        statement = f"select {columns} from billing.{table} where account_id = %s {rest}"
        return sorted(tuple(row.values()) for row in world.query(statement, account.id))

    return {
        "entries": rows("kind, sum(amount)", "credit_transactions", "group by 1 having sum(amount) <> 0"),
        "lots": rows("kind::text, granted, remaining", "credit_lots"),
        "balance": rows("balance, held, status::text", "credit_balances"),
        # A charge that was not needed any more took nothing, and both may have one by chance.
        "payments": rows(
            "purpose, status, amount, refunded_credits, disputed_credits",
            "payments",
            "and status <> 'canceled'",
        ),
        "reversals": rows("kind, amount, status, is_taken, is_open", "payment_reversals"),
        "invoices": rows("status, amount_paid, billing_reason", "invoices"),
        "subscriptions": rows("status, plan_id, cancel_at_period_end", "subscriptions"),
        "cards": rows("brand, last4, is_attached", "payment_methods"),
    }


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_day_without_webhooks_ends_in_the_same_books(world: World) -> None:
    """No. 21, 22, T6, T37."""
    told, untold = world.account(topup=False), world.account(topup=False)

    def delivered() -> None:
        wait_until(
            lambda: world.stripe.look("idle") and not waiting(world), 60, "every event to be worked off"
        )

    story(world, told, delivered)
    delivered()
    world.stripe.do("webhooks", action="lose", type="*")
    story(world, untold, lambda: None)
    before = books(world, untold)
    shown = world.stack.flask("reconcile", "--since", "24h")
    assert "Stripe and the books agree." in shown
    after = books(world, untold)
    assert after == books(world, told)
    assert before != after, "or nothing was lost, and this proves nothing"
    again = world.stack.flask("reconcile", "--since", "24h")
    assert "repaired" not in again
    assert books(world, untold) == after
    world.assert_sound()


def waiting(world: World) -> bool:
    return bool(world.query("select 1 from billing.stripe_events where state = 'received' limit 1"))


@pytest.mark.slow
def test_a_worker_that_is_killed_in_the_middle_of_a_run_loses_nothing_of_it(world: World) -> None:
    account = world.account(topup=False)
    world.stripe.do("webhooks", action="lose", type="*")
    account.pay(account.checkout("credits_600"))
    world.stripe.do("slow", path="/v1/refunds", method="GET", seconds=3)
    shown: list[str] = []
    command = threading.Thread(target=lambda: shown.append(world.stack.flask("reconcile", "--since", "7d")))
    command.start()
    wait_until(lambda: runs(world, "refunds"), 30, "the run to come to refunds")
    world.kill("worker")
    account.await_balance(50 + 100 + 600, timeout=5)
    lists = world.requests("/v1/payment_intents", "GET")
    world.stripe.do("clear_faults")
    world.restart("worker")
    # Its lease would be over in two minutes.
    world.query("update billing.reconciliations set lease_until = now() where state = 'running'")
    world.sweep()
    command.join(60)
    assert "agree" in shown[0]
    assert world.requests("/v1/payment_intents", "GET") == lists, "pages that were done are not read again"
    world.assert_sound()


def runs(world: World, step: str) -> bool:
    found = world.query(
        "select 1 from billing.reconciliations where state = 'running' and kind = 'manual' and step = %s",
        step,
    )
    return bool(found)


def test_a_difference_is_listed_and_the_status_says_so_until_it_is_dismissed(world: World) -> None:
    account = world.account(topup=False)
    world.query(
        "update billing.payments set stripe_payment_intent_id = 'pi_gone', reconciled_at = null where account_id = %s",
        account.id,
    )
    failed = world.stack.try_flask("reconcile", "--since", "1h")
    assert failed.returncode == 1
    line = next(line for line in failed.stdout.splitlines() if "pi_gone" in line)
    assert account.id in line
    for row in world.stack.flask("differences", "list").splitlines():
        world.stack.flask("differences", "dismiss", row.split()[0], "--note", "a test broke it")
    assert "No differences." in world.stack.flask("differences", "list")
    assert "settled: a test broke it" in world.stack.flask("differences", "list", "--all")


@pytest.mark.parametrize("since", ["yesterday", "0h", "-1h", "24", "2026-13-01", "2999-01-01"])
def test_a_time_that_is_none_is_refused(world: World, since: str) -> None:
    runs_before = len(world.ledger.list_reconciliations(1000))
    refused = world.stack.try_flask("reconcile", f"--since={since}")
    assert (refused.returncode != 0, "Traceback" in refused.stderr) == (True, False)
    assert len(world.ledger.list_reconciliations(1000)) == runs_before
