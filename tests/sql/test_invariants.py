"""Every invariant view can fire: the books are broken as only a superuser could, and exactly that view lists it."""

from __future__ import annotations

import pytest

from tests.sql.books import CREDIT, Books
from tests.sql.test_subscriptions import invoice, line

# The views that a break makes fire. Most breaks violate one rule; where two rules follow from one another both are named.
BREAKS: dict[str, tuple[str, set[str]]] = {
    "check_balance_equals_entries": (
        # Balance and lot move together, so only the entries are behind.
        (
            "update billing.credit_balances set balance = balance + 5;"
            "update billing.credit_lots set remaining = remaining + 5, granted = granted + 5 where source = 'test:more'"
        ),
        {"check_lot_equals_draws"},
    ),
    "check_balance_equals_lots": (
        "update billing.credit_lots set remaining = remaining - 5 where source = 'test:more'",
        {"check_lot_equals_draws"},
    ),
    "check_lot_equals_draws": (
        "update billing.credit_transactions set draws = '{}' where kind = 'signup'",
        set(),
    ),
    "check_running_balance": (
        "update billing.credit_transactions set balance_after = balance_after + 1 where kind = 'signup'",
        set(),
    ),
    "check_entry_amounts": (
        (
            "insert into billing.credit_transactions (account_id, kind, counter_account, amount, balance_after,"
            " source_kind, source_id) select account_id, 'adjustment', 'adjustments', 0, balance, 'test', 'zero'"
            " from billing.credit_balances"
        ),
        set(),
    ),
    "check_balance_bounds": ("update billing.credit_balances set overdraft = -1", set()),
    "check_lot_bounds": ("update billing.credit_lots set is_open = false where source = 'test:more'", set()),
    "check_usage_equals_entries": (
        "update billing.credit_usage_keys set credits = credits + 1",
        set(),
    ),
    "check_usage_partitions": (
        (
            "insert into billing.credit_usage (account_id, event_id, transaction_id, quantity, credits,"
            " occurred_at, created_at)"
            " values ('a', 'late', 999999, 1, 1, now(), now() + interval '10 years')"
        ),
        set(),
    ),
    "check_payment_granted_once": (
        "update billing.payments set lines = jsonb_set(lines, '{0,amount}', '499') where id = 'pay_1'",
        set(),
    ),
    "check_reversals": ("update billing.payments set refunded_credits = 1 where id = 'pay_1'", set()),
    "check_subscription_grants": (
        "update billing.invoices set status = 'open' where id = 'in_1'",
        set(),
    ),
    "check_paid_lines": (
        "update billing.invoice_lines set outcome = 'parked', reason = 'no_subscription' where id = 'il_0_1'",
        set(),
    ),
    "check_portions": (
        (
            "insert into billing.subscription_portions"
            " (line_id, number, account_id, credits, amount, due_at, ends_at, facts, line)"
            " values ('il_0_1', 2, 'a', 1, 1, now() - interval '2 hours', now(), '{}', '{}')"
        ),
        set(),
    ),
    "check_grant_rates": ("update billing.subscription_grants set whole_credits = credits - 1", set()),
    "check_credited_lines": (
        "update billing.invoice_lines set returned_credits = 1 where amount < 0",
        set(),
    ),
    "check_subscription_figures": (
        (
            "insert into billing.subscriptions (id, account_id, plan_id, stripe_customer_id, status, quantity,"
            " cancel_at_period_end, started_at, version, updated_at)"
            " values ('sub_1', 'a', 'pro', 'cus_a', 'active', 1, false, now(), 1, now() - interval '3 hours')"
        ),
        set(),
    ),
    "check_plan_prices": (
        (
            "update billing.subscription_plans set stripe_price_id = 'price_1',"
            """ stripe_price = '{"id": "price_1", "missing": true}' where id = 'pro'"""
        ),
        set(),
    ),
    "check_frozen": (
        (
            "insert into billing.payment_reversals"
            " (id, account_id, payment_id, kind, amount, status, is_taken, is_open, occurred_at)"
            " values ('dp', 'a', 'pay_1', 'dispute', 1, 'needs_response', false, true, now())"
        ),
        set(),
    ),
    "check_disputed_not_charged": (
        (
            "insert into billing.payment_reversals"
            " (id, account_id, payment_id, kind, amount, status, is_taken, is_open, occurred_at)"
            " values ('dp', 'a', 'pay_1', 'dispute', 1, 'warning_needs_response', false, true, now());"
            " update billing.credit_balances set topup_due_at = now()"
        ),
        set(),
    ),
    "check_topup_agrees_with_payment": ("update billing.topups set state = 'declined'", set()),
    "check_topup_within_caps": (
        "update billing.payments set amount = 10001 where purpose = 'topup'",
        {"check_payment_granted_once", "check_topup_price_agreed"},
    ),
    "check_topup_price_agreed": (
        # One minor unit less is agreed to than was charged.
        (
            "insert into billing.auto_topup_consents (account_id, actor, enabled, settings, price)"
            " select account_id, actor, enabled, settings, price || '{\"amount\": 499}' from billing.auto_topup_consents;"
            " update billing.topups set consent_id = (select max(id) from billing.auto_topup_consents)"
        ),
        set(),
    ),
    "check_topup_has_cause": ("update billing.topups set cause = null", set()),
    "check_currency_rules": ("update billing.auto_topup_settings set credits = 1", set()),
    "check_topup_trigger": ("update billing.credit_balances set topup_trigger = 1", set()),
    "check_topups_stuck": (
        (
            "insert into billing.payments (id, account_id, purpose, credits, amount, currency)"
            " values ('old', 'a', 'topup', 1, 1, 'usd');"
            "insert into billing.topups (id, account_id, payment_id, stripe_customer_id, payment_method, created_at, cause)"
            " values ('old', 'a', 'old', 'cus_a', 'pm_1', now() - interval '61 minutes', 'refused:old')"
        ),
        {"check_topup_price_agreed"},
    ),
    "check_one_live_charge": (
        (
            "drop index billing.topups_one_open;"
            " insert into billing.payments (id, account_id, purpose, credits, amount, currency, status)"
            " select 'live' || n, 'a', 'topup', 1, 1, 'usd', 'processing' from generate_series(1, 2) n;"
            " insert into billing.topups"
            " (id, account_id, payment_id, state, stripe_customer_id, payment_method, confirming_at, cause)"
            " select 'live' || n, 'a', 'live' || n, 'unknown', 'cus_a', 'pm_1', now(), 'refused:x'"
            " from generate_series(1, 2) n"
        ),
        {"check_topup_price_agreed"},
    ),
    "check_events_stuck": (
        (
            "insert into billing.stripe_events (id, type, livemode, payload, received_at)"
            " values ('evt', 'x', false, '', now() - interval '11 minutes')"
        ),
        set(),
    ),
    "check_stripe_accepts_key": (
        (
            "insert into billing.stripe_refusals (cause, code, account_id, details)"
            " values ('key', 'stripe_key_refused', 'a', '{}')"
        ),
        set(),
    ),
    "check_reconciliation": (
        (
            "insert into billing.reconciliations"
            " (id, kind, since, until, step, state, not_compared, created_at, finished_at)"
            " values ('rec', 'nightly', now() - interval '8 days', now() - interval '9 hours', 'end', 'done',"
            """ '[{"what": "refunds", "reason": "unreadable"}]', now() - interval '9 hours', now() - interval '8 hours')"""
        ),
        set(),
    ),
    "check_disputes_decided": (
        (
            "insert into billing.payments (id, account_id, purpose, credits, amount, currency, status)"
            " values ('disp', 'a', 'purchase', 1, 1, 'usd', 'failed');"
            " insert into billing.payment_reversals (id, account_id, payment_id, kind, amount, status, is_taken, is_open,"
            " occurred_at) values ('du_old', 'a', 'disp', 'dispute', 1, 'warning_under_review', false, false,"
            " now() - interval '121 days')"
        ),
        set(),
    ),
    "check_hold_trees": (
        "update billing.credit_holds set reserved = reserved + 1 where id = 'run'",
        set(),
    ),
    "check_holds_equal_held": ("update billing.credit_balances set held = held + 1", set()),
    "check_holds_equal_usage": (
        "update billing.credit_usage set hold_id = null where hold_id = 'run'",
        set(),
    ),
    "check_holds_swept": (
        "update billing.credit_holds set expires_at = now() - interval '11 minutes'",
        set(),
    ),
    "check_limits_counted": ("update billing.credit_limits set used = used + 1", set()),
    "check_price_versions": (
        (
            "insert into billing.agent_action_costs (action, account_id, credits, effective_from, effective_until, is_plain)"
            " values ('own', 'a', 1, now() - interval '2 days', now() + interval '1 day', false),"
            " ('own', 'a', 2, now() - interval '1 day', 'infinity', false)"
        ),
        set(),
    ),
    "check_expiry_swept": (
        "update billing.credit_lots set expires_at = now() - interval '11 minutes' where source = 'test:more'",
        set(),
    ),
}


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    """An account that has seen a grant, a purchase, usage and a charge."""
    books.open("a", 100)
    books.enable()
    books.spend(1)
    books.query("select billing.open_purchase('pay_1', 'a', 'credits_100', 1, 'cus_a')")
    books.settle("pay_1")
    books.use(195)
    books.settle(str(books.topup(books.charge())["payment_id"]))
    books.grant("more", 10)
    limit = {"scope": "agent", "scope_id": "scout", "window": "day", "credits": 50 * CREDIT}
    books.ledger.set_limit("a", limit, "test")
    books.ledger.place_hold("a", {"id": "run", "amount": 5 * CREDIT, "agent": "scout"})
    books.ledger.place_hold("a", {"id": "child", "parent_id": "run", "amount": CREDIT})
    books.ledger.settle_hold("a", "run", {"final": False, "id": "one", "amount": CREDIT})
    back = line(0, 2, amount=-190, proration=True, credited=["il_0_1"])
    books.ledger.grant_invoice(invoice())
    books.ledger.grant_invoice(invoice(7, back))


def test_sound_books_violate_nothing(books: Books) -> None:
    books.assert_sound()


def test_every_invariant_view_has_a_way_to_break_it(books: Books) -> None:
    views = books.query(
        "select viewname from pg_views where schemaname = 'billing' and viewname like 'check\\_%%'"
    )
    assert {row["viewname"] for row in views} == set(BREAKS)


@pytest.mark.parametrize("view", BREAKS)
def test_a_broken_book_is_listed_by_the_view_of_its_rule(books: Books, view: str) -> None:
    statement, companions = BREAKS[view]
    with books.connection.transaction():
        books.connection.execute("set local session_replication_role = replica")
        books.connection.execute(statement.encode())
    found = {row["invariant"]: row for row in books.ledger.check_invariants()}
    assert set(found) == {view} | companions
    assert found[view]["violations"] >= 1
    assert len(found[view]["examples"]) >= 1
    if view not in ("check_events_stuck", "check_reconciliation", "check_plan_prices"):
        assert found[view]["examples"][0]["account_id"] == "a"


def test_at_most_ten_examples_are_shown_of_any_number_of_violations(books: Books) -> None:
    books.query(
        "insert into billing.stripe_events (id, type, livemode, payload, received_at)"
        " select 'evt_' || n, 'x', false, '', now() - interval '1 hour' from generate_series(1, 25) n"
    )
    found = books.ledger.check_invariants()[0]
    assert (found["violations"], len(found["examples"])) == (25, 10)
