"""Reconciliation finds what changed, also of objects older than its window, and says what it did not look at."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from shared import keys
from shared.errors import DatabaseUnavailable, Refused, StripeUnavailable
from shared.stripe_client import StripeRefused
from shared.stripe_errors import StripeForbidden
from shared.stripe_lists import Page
from tests.workers.test_reconciliation import differences, paid_purchase
from tests.workers.test_subscriptions import subscribe
from tests.workers.test_with_local_stripe import Shop, server, shop
from workers import events, reconciliation, repairs

__all__ = ["server", "shop"]
HOUR = 3600


def now_at_stripe(shop: Shop) -> dt.datetime:
    """A moment of Stripe's clock after everything so far."""
    shop.control.advance(seconds=HOUR)
    made = shop.client.v1.customers.create({"name": "Clock"}).created
    shop.control.advance(seconds=HOUR)
    return dt.datetime.fromtimestamp(made, dt.UTC)


def run_of(shop: Shop, since: dt.datetime, *, kind: str = "manual", depth: str = "all") -> dict[str, Any]:
    """A whole run over the day after a moment of Stripe's clock."""
    ledger = shop.world.ledger
    run_id = ledger.open_reconciliation(keys.new_id("rec"), "2020-01-01T00:00:00Z", None)["id"]
    shop.world.query(
        "update billing.reconciliations set since = %s, until = %s, kind = %s, depth = %s where id = %s",
        since,
        since + dt.timedelta(days=1),
        kind,
        depth,
        run_id,
    )
    reconciliation.reconcile(shop.world.app, run_id)
    run = ledger.get_reconciliation(run_id)
    assert run is not None
    return dict(run)


def without_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are older than 30 days, and Stripe does not keep them."""
    read = reconciliation.read_page

    def empty(client: Any, kind: Any, *more: Any) -> Page:
        return Page([], None) if kind == "events" else read(client, kind, *more)

    monkeypatch.setattr(reconciliation, "read_page", empty)


def deliver(shop: Shop) -> None:
    """Every event so far, worked off here, as if it had come as a webhook."""
    for event in reversed([event.to_dict() for event in shop.client.v1.events.list({"limit": 100}).data]):
        raw = json.dumps(event, default=str).encode()
        shop.world.ledger.record_stripe_event(event["id"], event["type"], None, False, None, raw, None, None)
        events.process_event(shop.world.app, event["id"])


def charge_of(shop: Shop, payment: dict[str, Any]) -> str:
    return str(shop.client.v1.payment_intents.retrieve(payment["intent"]).latest_charge)


def status(shop: Shop) -> str:
    return str(shop.world.query("select status from billing.credit_balances")[0]["status"])


def reversals(shop: Shop) -> list[str]:
    return [
        row["status"] for row in shop.world.query("select status from billing.payment_reversals order by id")
    ]


@pytest.mark.parametrize("kept", ["events", "no events"])
@pytest.mark.parametrize(
    ("end", "ends_as", "balance"),
    [
        ("inquiry closed", "warning_closed", 200),
        ("won", "won", 200),
        ("lost", "lost", 100),
        ("escalated", "needs_response", 100),
    ],
)
def test_a_dispute_that_was_decided_after_the_backup_is_found(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, kept: str, end: str, ends_as: str, balance: int
) -> None:
    payment = paid_purchase(shop)
    inquiry = end in ("inquiry closed", "escalated")
    dispute = shop.control.open_dispute(charge=charge_of(shop, payment), inquiry=inquiry)
    deliver(shop)
    backup = now_at_stripe(shop)
    if end == "escalated":
        shop.control.escalate_dispute(dispute["id"])
    else:
        shop.control.close_dispute(dispute["id"], won=end == "won")
    if kept == "no events":
        without_events(monkeypatch)
    run = run_of(shop, backup)
    assert (run["state"], run["differences"], run["not_compared"]) == ("done", 0, [])
    assert (reversals(shop), shop.world.balance) == ([ends_as], balance)
    if end != "escalated":
        assert status(shop) == "active"
    assert "repaired" not in run_of(shop, backup)["counts"]


def test_a_refund_that_failed_after_the_backup_gives_its_credits_back(shop: Shop) -> None:
    payment = paid_purchase(shop)
    refund = shop.client.v1.refunds.create({"payment_intent": payment["intent"], "amount": 250})
    deliver(shop)
    assert shop.world.balance == 150
    backup = now_at_stripe(shop)
    shop.control.fail_refund(refund.id)
    run_of(shop, backup)
    assert (reversals(shop), shop.world.balance) == (["failed"], 200)


def test_a_refund_that_failed_is_found_without_its_event_by_looking_further_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = paid_purchase(shop)
    refund = shop.client.v1.refunds.create({"payment_intent": payment["intent"], "amount": 250})
    deliver(shop)
    backup = now_at_stripe(shop)
    shop.control.fail_refund(refund.id)
    without_events(monkeypatch)
    run_of(shop, backup)
    assert (reversals(shop), shop.world.balance) == (["failed"], 200)


@pytest.mark.parametrize("kept", ["events", "no events"])
def test_an_invoice_that_was_finalized_before_and_paid_after_the_backup_grants(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    subscription = subscribe(shop)
    deliver(shop)
    shop.control.behave(shop.customer, decline_code="insufficient_funds")
    shop.control.renew(subscription)
    deliver(shop)
    before = shop.world.balance
    (invoice,) = shop.world.query("select id from billing.invoices where status = 'open'")
    backup = now_at_stripe(shop)
    shop.control.behave(shop.customer, outcome="ok")
    shop.client.v1.invoices.pay(invoice["id"])
    if kept == "no events":
        without_events(monkeypatch)
    run = run_of(shop, backup)
    assert (run["state"], run["differences"]) == ("done", 0)
    assert shop.world.query("select status from billing.invoices where id = %s", invoice["id"]) == [
        {"status": "paid"}
    ]
    assert shop.world.balance > before
    assert "repaired" not in run_of(shop, backup)["counts"]


@pytest.mark.parametrize("kept", ["events", "no events"])
def test_a_subscription_that_ended_after_the_backup_is_found(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    subscription = subscribe(shop)
    deliver(shop)
    backup = now_at_stripe(shop)
    shop.client.v1.subscriptions.cancel(subscription)
    if kept == "no events":
        without_events(monkeypatch)
    run_of(shop, backup)
    assert shop.world.query("select status from billing.subscriptions") == [{"status": "canceled"}]


def test_a_card_that_was_removed_after_the_backup_is_found_without_its_event(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = shop.client.v1.payment_methods.attach("pm_card_mastercard", {"customer": shop.customer}).id
    deliver(shop)
    backup = now_at_stripe(shop)
    shop.client.v1.payment_methods.detach(method)
    without_events(monkeypatch)
    run_of(shop, backup)
    attached = shop.world.query("select is_attached from billing.payment_methods where id = %s", method)
    assert attached == [{"is_attached": False}]


def test_an_hourly_run_finds_a_change_of_an_old_object_by_its_event(shop: Shop) -> None:
    payment = paid_purchase(shop)
    dispute = shop.control.open_dispute(charge=charge_of(shop, payment))
    deliver(shop)
    later = now_at_stripe(shop)
    shop.control.close_dispute(dispute["id"], won=True)
    run = run_of(shop, later, kind="hourly", depth="created")
    assert (reversals(shop), status(shop), shop.world.balance) == (["won"], "active", 200)
    assert "open_reversals" not in run["counts"]
    assert "lasting" not in run["counts"]


def test_a_window_that_begins_before_stripes_memory_is_incomplete(shop: Shop) -> None:
    run = run_of(shop, dt.datetime.now(dt.UTC) - dt.timedelta(days=45))
    assert run["state"] == "done"
    assert [entry["what"] for entry in run["not_compared"]] == ["events"]
    assert "30 days" in run["not_compared"][0]["reason"]


# Isolation


def with_objects(monkeypatch: pytest.MonkeyPatch, kind: str, *objects: dict[str, Any]) -> None:
    """Stripe's list of a kind has these as well, before its own."""
    read = reconciliation.read_page

    def more(client: Any, found: Any, *window: Any) -> Page:
        page = read(client, found, *window)
        return Page([*objects, *page.items], page.after) if found == kind else page

    monkeypatch.setattr(reconciliation, "read_page", more)


SEAL = {"refill_account_id": "acct_x", "refill_payment_id": "pay_x", "refill_seal": "sélé☃"}
BAD: dict[str, list[dict[str, Any]]] = {
    "customers": [
        {"metadata": SEAL},
        {"metadata": "text"},
        {"metadata": {"refill_account_id": "\0", "refill_seal": None}},
        {"metadata": {"refill_account_id": "\ud800", "refill_seal": "\ud800"}},
    ],
    "payments": [
        {"metadata": SEAL, "status": "succeeded"},
        {"metadata": "text", "status": "succeeded"},
        {"metadata": {"refill_payment_id": "\0"}, "status": "succeeded"},
        {"metadata": {}, "latest_charge": {"amount_refunded": "many"}},
        {"metadata": {"refill_payment_id": ["a"]}, "customer": 5},
    ],
    "refunds": [
        {"payment_intent": "pi_unknown", "amount": "many"},
        {"payment_intent": "pi_nobody", "status": "succeeded", "amount": 5},
        {"payment_intent": "pi_\0", "status": "succeeded", "amount": 5},
        {"payment_intent": {"id": None}},
    ],
    "disputes": [
        {"payment_intent": "pi_nobody", "status": "lost", "amount": 5},
        {"payment_intent": "pi_unknown", "amount": 2**80},
        {"payment_intent": "pi_nobody", "status": "\0", "amount": 1},
    ],
    "subscriptions": [{}, {"items": None}, {"items": {"data": [None]}}, {"items": {"data": []}, "customer": "\0"}],
    "lasting": [{}, {"items": {"data": [{"current_period_end": "soon"}]}}, {"items": "text"}],
    "invoices": [{"customer": "\0"}, {"amount_paid": "many"}, {"status": "\ud800", "customer": "c"}],
    "setups": [
        {"status": "succeeded", "payment_method": "pm_unknown", "customer": "cus_\0"},
        {"status": "succeeded", "payment_method": "pm_other", "customer": {"id": 5}},
        {"status": "succeeded", "payment_method": "pm_third"},
    ],
    "sessions": [{"id": "cs_\0"}, {"id": "\ud800"}, {"status": "expired", "metadata": 5}],
    "events": [
        {"type": "refund.failed", "data": None},
        {"type": "refund.failed", "data": {"object": {"id": "re_☃"}}, "created": "today"},
        {"type": "charge.refunded", "object": "thing"},
        {"type": "invoice.paid", "id": "\0"},
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(BAD))
def test_objects_that_cannot_be_read_stop_no_run_and_no_neighbour(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    paid_purchase(shop)
    bad = [{"id": f"bad_{number}", **fields} for number, fields in enumerate(BAD[kind])]
    with_objects(monkeypatch, kind, *bad)
    since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=3)
    run = run_of(shop, since)
    assert (run["state"], run["step"]) == ("done", "end")
    assert shop.world.balance == 200
    found = {subject for subject, _ in differences(shop)}
    # A NUL or half a character is shown as an escape: a database holds neither.
    assert found <= {
        row["id"].encode("ascii", "backslashreplace").decode().replace("\0", "\\u0000") for row in bad
    }
    if run["counts"].get("unreadable"):
        assert {"what": kind, "reason": "unreadable"} in run["not_compared"]
        assert all(reason.startswith("unreadable: ") for _, reason in differences(shop))
    else:
        assert run["not_compared"] == []


@pytest.mark.parametrize("seal", ["sélé", "☃" * 64, "0" * 63 + "é", "\u202e"])
def test_a_seal_that_is_not_ascii_is_not_ours_and_raises_nothing(shop: Shop, seal: str) -> None:
    payment = paid_purchase(shop)
    shop.client.v1.payment_intents.update(payment["intent"], {"metadata": {"refill_seal": seal}})
    shop.client.v1.customers.create(
        {"metadata": {"refill_account_id": "acct_x", "refill_seal": seal}, "name": "X"}
    )
    run = run_of(shop, dt.datetime.now(dt.UTC) - dt.timedelta(hours=3))
    assert (run["state"], differences(shop), shop.world.balance) == ("done", [], 200)


FAILURES = [ValueError("odd"), TypeError(), Refused("no"), StripeRefused("gone", "resource_missing", "id")]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("step", "place"),
    [
        ("payments", "judge_intent"),
        ("refunds", "follow_intent"),
        ("events", "process_event"),
        ("open_reversals", "follow_intent"),
    ],
)
def test_whatever_one_object_raises_is_a_difference_and_gone_once_it_can_be_read(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, error: Exception, step: str, place: str
) -> None:
    payment = paid_purchase(shop)
    other = paid_purchase(shop)
    if step == "refunds":
        deliver(shop)
        shop.client.v1.refunds.create({"payment_intent": payment["intent"], "amount": 250})
    if step == "open_reversals":
        shop.control.open_dispute(charge=charge_of(shop, payment), inquiry=True)
        deliver(shop)
    module: Any = {
        "judge_intent": repairs.purchases,
        "follow_intent": repairs.reversals,
        "process_event": repairs.events,
    }[place]
    real: Callable[..., Any] = getattr(module, place)

    def failing(app: Any, subject: Any, *more: Any, **named: Any) -> Any:
        if step == "events" or payment["id"] in str(subject) or payment["intent"] in str(subject):
            raise error
        return real(app, subject, *more, **named)

    monkeypatch.setattr(module, place, failing)
    since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=3)
    run = run_of(shop, since)
    assert (run["state"], run["step"]) == ("done", "end")
    assert run["counts"]["unreadable"] >= 1
    assert step in {entry["what"] for entry in run["not_compared"]}
    assert all(reason.startswith("unreadable: ") for _, reason in differences(shop))
    assert shop.world.payment(other["id"])["status"] == "succeeded" or step == "events"
    monkeypatch.setattr(module, place, real)
    shop.world.query("update billing.stripe_events set next_attempt_at = now()")
    again = run_of(shop, since)
    if step != "events":
        assert (again["not_compared"], differences(shop)) == ([], [])


@pytest.mark.parametrize("kind", ["refunds", "disputes", "lasting", "events", "customers"])
def test_a_list_that_the_key_may_not_read_is_named_and_the_rest_is_compared(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    paid_purchase(shop)
    read = reconciliation.read_page

    def forbidding(client: Any, found: Any, *window: Any) -> Page:
        if found == kind:
            raise StripeForbidden("The provided key does not have the required permissions", path="/v1/x")
        return read(client, found, *window)

    monkeypatch.setattr(reconciliation, "read_page", forbidding)
    run = run_of(shop, dt.datetime.now(dt.UTC) - dt.timedelta(hours=3))
    assert (run["state"], shop.world.balance) == ("done", 200)
    assert [entry["what"] for entry in run["not_compared"]] == [kind]
    assert "permission" in run["not_compared"][0]["reason"]
    # The key is reported to the operators, and an invariant says so until it is corrected.
    assert shop.world.query("delete from billing.stripe_refusals returning code") == [
        {"code": "stripe_key_refused"}
    ]


def test_a_run_is_not_given_up_because_the_database_or_stripe_is_away(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = shop.world.ledger
    run_id = ledger.open_reconciliation(keys.new_id("rec"), "2020-01-01T00:00:00Z", None)["id"]
    read = reconciliation.read_page
    for number in range(20):

        def failing(*_: Any, number: int = number) -> Any:
            raise DatabaseUnavailable("down") if number % 2 else StripeUnavailable("down")

        monkeypatch.setattr(reconciliation, "read_page", failing)
        if number % 2:
            with pytest.raises(DatabaseUnavailable):
                reconciliation.reconcile(shop.world.app, run_id)
        else:
            reconciliation.reconcile(shop.world.app, run_id)
        shop.world.query("update billing.reconciliations set lease_until = now()")
    monkeypatch.setattr(reconciliation, "read_page", read)
    reconciliation.reconcile(shop.world.app, run_id)
    assert ledger.get_reconciliation(run_id)["state"] == "done"  # type: ignore[index]


def test_an_object_over_which_stripe_fails_each_time_is_left_out_in_the_end(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = paid_purchase(shop)
    deliver(shop)
    shop.client.v1.refunds.create({"payment_intent": payment["intent"], "amount": 250})

    def failing(*_: Any) -> Any:
        raise StripeUnavailable("500")

    monkeypatch.setattr(repairs.reversals, "follow_intent", failing)
    ledger = shop.world.ledger
    run_id = ledger.open_reconciliation(keys.new_id("rec"), "2020-01-01T00:00:00Z", None)["id"]
    for _ in range(8):
        shop.world.query("update billing.reconciliations set lease_until = now()")
        reconciliation.reconcile(shop.world.app, run_id)
    run = ledger.get_reconciliation(run_id)
    assert run is not None
    assert run["state"] == "done"
    assert {entry["what"] for entry in run["not_compared"]} >= {"refunds"}
    assert {reason for _, reason in differences(shop)} == {"unreadable: stripe_unavailable"}


def test_foreign_refunds_are_read_once_and_again_after_a_restore(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shop.client.v1.customers.create({"name": "Other"}).id
    paid = shop.control.pay_from_dashboard(customer=other)
    shop.client.v1.refunds.create({"payment_intent": str(paid["id"]), "amount": 1})
    calls: list[str] = []
    real = repairs.reversals.follow_intent

    def counting(app: Any, intent_id: str) -> str:
        calls.append(intent_id)
        return real(app, intent_id)

    monkeypatch.setattr(repairs.reversals, "follow_intent", counting)
    since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=3)
    for depth, read in (("created", 1), ("created", 0), ("open", 0), ("all", 1)):
        shop.world.query("delete from billing.reconciliations")
        deliver(shop)
        calls.clear()
        run_of(shop, since, kind="hourly", depth=depth)
        assert len(calls) == read, depth
