"""Reconciliation against the local Stripe: webhooks that never came, a restored backup, differences that stay."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from shared import keys, queue
from shared.errors import StripeUnavailable
from tests.workers.test_with_local_stripe import Shop, server, shop
from tests.workers.world import ACCOUNT, CREDIT
from workers import reconciliation

__all__ = ["server", "shop"]


def reconcile(shop: Shop, hours: float = 24) -> dict[str, Any]:
    """A whole run over the last hours, as the command starts it."""
    since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)
    run_id = shop.world.ledger.open_reconciliation(keys.new_id("rec"), since.isoformat(), None)["id"]
    reconciliation.reconcile(shop.world.app, run_id)
    run = shop.world.ledger.get_reconciliation(run_id)
    assert run is not None
    assert run["state"] == "done", run
    return dict(run)


def differences(shop: Shop) -> list[tuple[str, str]]:
    found = shop.world.ledger.list_differences(100, all_of_them=False)
    return sorted((row["subject"], row["reason"]) for row in found)


def lose_grant(shop: Shop, payment_id: str) -> None:
    """As if neither a webhook nor the sweep had told of this payment: its row is still open."""
    with shop.world.connection.transaction():
        shop.world.query("update billing.payments set next_check_at = 'infinity' where id = %s", payment_id)


def paid_purchase(shop: Shop) -> dict[str, Any]:
    payment = shop.purchase()
    session = shop.control.pay_checkout(payment["stripe_checkout_session_id"])
    lose_grant(shop, payment["id"])
    return {**payment, "intent": session["payment_intent"]}


def test_a_paid_purchase_whose_webhooks_are_lost_is_granted_once(shop: Shop) -> None:
    """No. 21."""
    payment = paid_purchase(shop)
    first = reconcile(shop)
    assert (shop.world.balance, first["counts"]["repaired"]) == (200, first["counts"]["repaired"])
    assert shop.world.payment(payment["id"])["status"] == "succeeded"
    second = reconcile(shop)
    assert (shop.world.balance, shop.world.grants) == (200, 1)
    assert "repaired" not in second["counts"]
    assert differences(shop) == []


def test_a_periodic_run_that_ends_is_a_finished_job_and_one_by_hand_is_nobodys(shop: Shop) -> None:
    ledger = shop.world.ledger

    def finished() -> bool:
        (job,) = [row for row in ledger.job_status() if row["job"] == queue.RECONCILE]
        return job["finished_at"] is not None

    ledger.claim_slot(queue.RECONCILE, 3600)
    reconcile(shop)
    assert not finished()
    reconciliation.reconcile(shop.world.app)
    assert finished()


def test_nothing_is_mended_twice_when_all_is_well(shop: Shop) -> None:
    payment = paid_purchase(shop)
    shop.deliver()
    assert shop.world.payment(payment["id"])["status"] == "succeeded"
    assert "repaired" not in reconcile(shop)["counts"]


def test_refunds_and_disputes_that_nobody_told_of_are_booked(shop: Shop) -> None:
    payment = paid_purchase(shop)
    other = paid_purchase(shop)
    shop.deliver()
    assert shop.world.balance == 300
    shop.client.v1.refunds.create({"payment_intent": payment["intent"], "amount": 250})
    charge = shop.client.v1.payment_intents.retrieve(other["intent"]).latest_charge
    shop.control.open_dispute(charge=str(charge))
    reconcile(shop)
    assert shop.world.balance == 150
    assert shop.world.query("select status from billing.credit_balances")[0]["status"] == "paused"
    reconcile(shop)
    assert shop.world.balance == 150


def test_a_refund_of_an_older_payment_is_found_by_its_own_date(shop: Shop) -> None:
    payment = paid_purchase(shop)
    shop.deliver()
    shop.control.advance(seconds=9 * 24 * 3600)
    refund = shop.client.v1.refunds.create({"payment_intent": payment["intent"], "amount": 500})
    since, until = (dt.datetime.fromtimestamp(refund.created + by, dt.UTC) for by in (-60, 60))
    # The books' own clock stands still, so the window lies ahead of it.
    run_id = shop.world.ledger.open_reconciliation(keys.new_id("rec"), "2020-01-01T00:00:00Z", None)["id"]
    shop.world.query(
        "update billing.reconciliations set since = %s, until = %s where id = %s", since, until, run_id
    )
    reconciliation.reconcile(shop.world.app, run_id)
    assert shop.world.balance == 100


def test_a_payment_that_the_backup_forgot_is_restored_from_its_seal(shop: Shop) -> None:
    """No. 71: purchase and top-up were made after the backup; the books have never heard of them."""
    purchase = paid_purchase(shop)
    shop.deliver()
    shop.world.spend(190)
    shop.world.check()
    topup = shop.world.topup
    assert shop.world.balance == 110
    forget(shop)
    assert shop.world.balance == 100
    reconcile(shop)
    assert shop.world.balance == 300, "100 of the start, the purchase, the top-up; what was spent is lost"
    restored = shop.world.payment(purchase["id"])
    assert (restored["purpose"], restored["package_id"], restored["credits"]) == (
        "purchase",
        "small",
        100 * CREDIT,
    )
    assert shop.world.ledger.find_topup(topup["id"])["state"] == "succeeded"  # type: ignore[index]
    assert differences(shop) == []
    reconcile(shop)
    assert (shop.world.balance, shop.charged) == (300, 2)


def test_an_account_that_the_backup_forgot_comes_back_with_its_customer(shop: Shop) -> None:
    payment = paid_purchase(shop)
    shop.deliver()
    forget(shop, account=True)
    reconcile(shop)
    account = shop.world.ledger.get_account(ACCOUNT)
    assert (account["name"], account["email"]) == ("Test", "owner@example.com")
    assert shop.world.balance == 100, "the purchase; promotional credits are not at Stripe"
    assert shop.world.payment(payment["id"])["status"] == "succeeded"
    customer = shop.world.ledger.get_customer(ACCOUNT)
    assert customer is not None
    assert customer["stripe_customer_id"] == shop.customer


def test_a_webhook_of_a_forgotten_payment_restores_it_too(shop: Shop) -> None:
    """No. 23."""
    payment = paid_purchase(shop)
    forget(shop)
    shop.deliver()
    assert (shop.world.balance, shop.world.payment(payment["id"])["status"]) == (200, "succeeded")


@pytest.mark.parametrize(
    "change",
    [
        {"refill_credits": "999000000"},
        {"refill_account_id": "acct_other"},
        {"refill_payment_id": "pay_new"},
        {"refill_seal": "0" * 64},
        {"refill_seal": ""},
    ],
)
def test_metadata_that_was_edited_at_stripe_restores_nothing(shop: Shop, change: dict[str, str]) -> None:
    payment = paid_purchase(shop)
    forget(shop)
    shop.client.v1.payment_intents.update(payment["intent"], {"metadata": change})
    before = shop.world.query("select count(*) as n from billing.credit_transactions")
    reconcile(shop)
    assert shop.world.query("select count(*) as n from billing.credit_transactions") == before
    assert differences(shop) == [(payment["intent"], "unsealed")]


def test_another_installations_payments_are_nobodys_difference(shop: Shop) -> None:
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
            "metadata": {
                "refill_payment_id": "pay_theirs",
                "refill_account_id": ACCOUNT,
                "refill_seal": "f" * 64,
            },
        }
    )
    shop.control.pay_from_dashboard(customer=shop.customer)
    reconcile(shop)
    assert (differences(shop), shop.world.balance) == ([], 100)


def test_a_top_up_that_only_stripe_knows_and_that_took_no_money_is_canceled(shop: Shop) -> None:
    """No. 31."""
    shop.world.spend(90)
    shop.control.behave(shop.customer, "authentication_required")
    shop.world.check()
    intent = shop.world.topup["stripe_payment_intent_id"]
    assert shop.world.topup["state"] == "action_required"
    forget(shop)
    reconcile(shop)
    assert shop.client.v1.payment_intents.retrieve(intent).status == "canceled"
    assert (shop.charged, shop.world.balance, differences(shop)) == (0, 100, [])


def test_a_payment_that_is_booked_and_not_at_stripe_is_listed_until_a_person_dismisses_it(shop: Shop) -> None:
    payment = paid_purchase(shop)
    shop.deliver()
    shop.world.query(
        "update billing.payments set stripe_payment_intent_id = 'pi_gone', reconciled_at = null where id = %s",
        payment["id"],
    )
    reconcile(shop)
    reconcile(shop)
    found = differences(shop)
    assert found == sorted(
        [("pi_gone", "not_at_stripe: resource_missing"), (payment["intent"], "another_intent")]
    )
    row = next(
        row
        for row in shop.world.ledger.list_differences(10, all_of_them=False)
        if row["subject"] == "pi_gone"
    )
    shop.world.ledger.dismiss_difference(row["id"], "refunded by hand", "test")
    assert ("pi_gone", "not_at_stripe: resource_missing") not in differences(shop)
    notices = shop.world.query(
        "select topic from billing.outbox where topic like 'operations.reconciliation%%'"
    )
    assert len(notices) == len(found), "one notice a difference, however often it is seen"


def test_a_difference_that_is_gone_is_resolved_by_itself(shop: Shop) -> None:
    payment = paid_purchase(shop)
    shop.world.query("update billing.payments set amount = 499 where id = %s", payment["id"])
    reconcile(shop)
    assert [reason for _, reason in differences(shop)] == ["amount_mismatch"]
    shop.world.query("update billing.payments set amount = 500, status = 'open' where id = %s", payment["id"])
    reconcile(shop)
    reconcile(shop)
    assert (differences(shop), shop.world.balance) == ([], 200)


def test_events_that_stripe_could_not_deliver_are_worked_off(shop: Shop) -> None:
    """No. 22."""
    shop.control.set_webhook(secret="whsec_x", url="http://127.0.0.1:1/nobody")
    method = shop.client.v1.payment_methods.attach("pm_card_mastercard", {"customer": shop.customer}).id
    payment = paid_purchase(shop)
    before = len(shop.world.query("select id from billing.stripe_events"))
    reconcile(shop)
    events = shop.world.query("select id, state, reason from billing.stripe_events")
    assert len(events) > before
    assert {row["state"] for row in events} <= {"done", "ignored"}
    assert method in {row["id"] for row in shop.world.query("select id from billing.payment_methods")}
    assert (shop.world.payment(payment["id"])["status"], shop.world.grants) == ("succeeded", 1)


def test_a_run_that_stopped_goes_on_where_it_was(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        paid_purchase(shop)
    read, seen = reconciliation.read_page, []

    def failing(client: Any, kind: str, *window: Any) -> Any:
        seen.append(kind)
        if kind == "invoices" and seen.count("invoices") == 1:
            raise StripeUnavailable("away")
        return read(client, kind, *window)  # type: ignore[arg-type]

    monkeypatch.setattr(reconciliation, "read_page", failing)
    run_id = shop.world.ledger.open_reconciliation(keys.new_id("rec"), "2020-01-01T00:00:00Z", None)["id"]
    reconciliation.reconcile(shop.world.app, run_id)
    stopped = shop.world.ledger.get_reconciliation(run_id)
    assert stopped is not None
    assert (stopped["state"], stopped["step"]) == ("running", "invoices")
    reconciliation.reconcile(shop.world.app, run_id)
    assert seen[-1] == "invoices", "its lease is not over: somebody may be at it"
    shop.world.query("update billing.reconciliations set lease_until = now()")
    assert shop.world.ledger.due_work(10)["reconciliations"] == [run_id]
    reconciliation.reconcile(shop.world.app, run_id)
    assert shop.world.ledger.get_reconciliation(run_id)["state"] == "done"  # type: ignore[index]
    assert [seen.count(kind) for kind in ("customers", "payments", "invoices")] == [1, 1, 2]
    assert shop.world.balance == 400


def test_the_periodic_run_covers_what_was_not_covered_yet(shop: Shop) -> None:
    ledger, hour = shop.world.ledger, dt.timedelta(hours=1)

    def window(run: Any) -> tuple[str, dt.timedelta]:
        since, until = (dt.datetime.fromisoformat(run[name]) for name in ("since", "until"))
        return run["kind"], until - since

    first = ledger.open_reconciliation("rec_1", None, None)
    assert window(first)[0] == "nightly"
    assert ledger.open_reconciliation("rec_2", None, None)["id"] == "rec_1", "one periodic run at a time"
    ledger.finish_reconciliation("rec_1", "done", None)
    kind, length = window(ledger.open_reconciliation("rec_3", None, None))
    assert (kind, length < 2.1 * hour) == ("hourly", True)
    ledger.finish_reconciliation("rec_3", "failed", "test")
    shop.world.query(
        "update billing.reconciliations set until = until - interval '4 days' where id = 'rec_1'"
    )
    kind, length = window(ledger.open_reconciliation("rec_4", None, None))
    assert (kind, 97 * hour < length < 99 * hour) == ("hourly", True), (
        "four days without a run are made up for"
    )


def forget(shop: Shop, *, account: bool = False) -> None:
    """The books as an older backup has them: the account's first credits and nothing of what it bought since."""
    tables = [
        "payment_reversals", "topups", "credit_usage", "credit_usage_keys", "stripe_events", "outbox",
        "reconciliation_differences", "reconciliations", "audit_log",
    ]  # fmt: skip
    with shop.world.connection.transaction():
        shop.world.query("set local session_replication_role = replica")
        for table in tables:
            shop.world.query(f"delete from billing.{table}")
        first = "select min(id) from billing.credit_lots"
        shop.world.query(f"delete from billing.credit_lots where id <> ({first})")
        shop.world.query("update billing.credit_lots set remaining = granted, is_open = true")
        shop.world.query("delete from billing.credit_transactions where kind <> 'signup'")
        shop.world.query("delete from billing.payments")
        shop.world.query(
            "update billing.credit_balances set balance = 100000000, held = 0, low_since = null, topup_due_at = null,"
            " status = 'active'"
        )
        shop.world.query("update billing.auto_topup_settings set paused_reason = null, declines = 0")
        if account:
            for table in (
                "payment_methods", "customers", "auto_topup_settings", "auto_topup_consents", "credit_lots",
                "credit_transactions", "credit_balances", "accounts",
            ):  # fmt: skip
                shop.world.query(f"delete from billing.{table}")
