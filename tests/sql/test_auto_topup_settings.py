"""billing.set_auto_topup: consent, limits, loud refusals, and off that always works."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 100)


def test_it_is_off_until_somebody_switches_it_on(books: Books) -> None:
    seen = books.ledger.get_auto_topup("a")
    assert (seen["enabled"], seen["threshold"], seen["caps"], seen["consent"]) == (False, None, None, None)
    assert books.use(200)["topup_due"] == []


def test_switching_on_records_who_when_which_limits_and_which_text(books: Books) -> None:
    books.enable(caps={"day": 2000, "month": 9000, "per_hour": 2})
    consent = books.query("select actor, enabled, text_version, settings from billing.auto_topup_consents")[0]
    assert (consent["actor"], consent["enabled"], consent["text_version"]) == ("owner", True, "v1")
    assert (consent["settings"]["cap_day"], consent["settings"]["threshold"]) == (2000, 10 * CREDIT)
    seen = books.ledger.get_auto_topup("a")
    assert (seen["consent"]["actor"], seen["consent"]["text_version"]) == ("owner", "v1")
    assert seen["caps"] == {"day": 2000, "month": 9000, "per_hour": 2, "currency": "usd"}
    assert books.value("select count(*) from billing.audit_log where action = 'auto_topup.set'") == 1
    books.assert_sound()


@pytest.mark.parametrize("version", [None, "", "x" * 101])
def test_without_the_accepted_text_it_stays_off(books: Books, version: str | None) -> None:
    with books.refused("consent_required"):
        books.enable_raw(text_version=version)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"mode": "target", "credits": 10 * CREDIT}, "target must be above threshold"),
    ({"mode": "target", "credits": 5 * CREDIT}, "target must be above threshold"),
    ({"mode": "target", "credits": 19 * CREDIT}, "Stripe charges 50 or more"),
    ({"credits": 9 * CREDIT}, "Stripe charges 50 or more"),
    ({"credits": -1}, "Stripe charges 50 or more"),
    ({"credits": 30_000_000 * CREDIT}, "more than Stripe takes at once"),
    ({"threshold": None}, "threshold is missing"),
    ({"credits": None}, "amount (or target) is missing"),
    ({"mode": "sometimes"}, "mode is fixed or target"),
    ({"caps": {"day": 499}}, "must leave room for one charge of 500"),
    ({"caps": {"day": 400, "month": 499}}, "must leave room for one charge of 500"),
    ({"caps": {"day": 0}}, "must leave room"),
    ({"caps": {"day": 2000, "month": 1000}}, "caps.month must not be below caps.day"),
    ({"caps": {"per_hour": 0}}, "caps.per_hour is between 1 and 10"),
    ({"caps": {"per_hour": 11}}, "caps.per_hour is between 1 and 10"),
    ({"caps": {"currency": "eur"}}, "caps must be in usd"),
]


@pytest.mark.parametrize(("changes", "sentence"), BAD)
def test_settings_that_cannot_work_are_refused_with_the_rule_they_break(
    books: Books, changes: dict[str, Any], sentence: str
) -> None:
    with books.refused("invalid_auto_topup") as refusal:
        books.enable_raw(**changes)
    assert sentence in refusal.value.detail
    assert {"field", "rule"} <= set(refusal.value.extra)


@pytest.mark.parametrize(("changes", "sentence"), BAD)
def test_refused_changes_leave_the_settings_that_worked(
    books: Books, changes: dict[str, Any], sentence: str
) -> None:
    books.enable()
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes:
        with books.refused("invalid_auto_topup"):
            books.enable(**changes)
    assert books.ledger.get_auto_topup("a")["enabled"]


def test_the_smallest_charge_is_fifty_minor_units(books: Books) -> None:
    assert books.enable(credits=10 * CREDIT)["enabled"]
    assert books.enable(mode="target", credits=20 * CREDIT)["enabled"]


def test_the_smallest_cap_is_one_charge(books: Books) -> None:
    assert books.enable(caps={"day": 500, "month": 500, "per_hour": 1})["enabled"]


@pytest.mark.parametrize(
    "changes", [{"threshold": -1}, {"threshold": "ten"}, {"threshold": 2**63}, {"caps": {"day": "much"}}]
)
def test_values_that_are_no_numbers_are_refused(books: Books, changes: dict[str, Any]) -> None:
    with books.refused("invalid_value"):
        books.enable_raw(**changes)


def test_an_unknown_package_or_account_is_refused(books: Books) -> None:
    with books.refused("unknown_package"):
        books.enable_raw(package_id="credits_1")
    with books.refused("unknown_account"):
        books.ledger.set_auto_topup("nobody", {"enabled": True, "text_version": "v1"}, "owner")


@pytest.mark.parametrize(
    "draft",
    [
        {},
        {"threshold": "rubbish"},
        {"mode": "sometimes", "caps": {"day": -5}},
        {"credits": 1, "caps": "none"},
        {"text_version": ""},
    ],
)
@pytest.mark.parametrize("before", ["never set", "on", "paused", "charging"])
def test_off_always_works_whatever_else_is_sent(books: Books, draft: dict[str, Any], before: str) -> None:
    if before != "never set":
        books.enable()
    if before in ("paused", "charging"):
        books.use(95)
        topup = books.charge()
        if before == "paused":
            books.decline(topup, "stolen_card")
    answer = books.ledger.set_auto_topup("a", draft | {"enabled": False}, "somebody")
    assert not answer["enabled"]
    assert answer["consent"] is None
    newest = books.query("select actor, enabled from billing.auto_topup_consents order by id desc limit 1")
    assert newest == [{"actor": "somebody", "enabled": False}]
    assert books.value("select actor from billing.audit_log where action = 'auto_topup.off'") == "somebody"
    assert books.use(50)["topup_due"] == []
    assert books.ledger.due_work(10)["accounts"] == []
    books.assert_sound()


def test_settings_that_say_neither_on_nor_off_are_refused(books: Books) -> None:
    books.enable()
    with books.refused("invalid_auto_topup"):
        books.ledger.set_auto_topup("a", {"threshold": 5 * CREDIT, "text_version": "v1"}, "owner")


def test_the_history_of_consent_keeps_every_change(books: Books) -> None:
    books.enable()
    books.enable(caps={"day": 1000, "month": 2000})
    books.ledger.set_auto_topup("a", {"enabled": False}, "owner")
    books.enable(text_version="v2")
    rows = books.query(
        "select enabled, text_version, settings->>'cap_day' as day from billing.auto_topup_consents order by id"
    )
    assert [(row["enabled"], row["text_version"], row["day"]) for row in rows] == [
        (True, "v1", "10000"),
        (True, "v1", "1000"),
        (False, None, "1000"),
        (True, "v2", "1000"),
    ]


def test_what_is_left_out_keeps_its_value(books: Books) -> None:
    books.enable(caps={"day": 1000, "month": 2000, "per_hour": 5})
    books.ledger.set_auto_topup(
        "a", {"enabled": True, "threshold": 20 * CREDIT, "text_version": "v1"}, "owner"
    )
    seen = books.ledger.get_auto_topup("a")
    assert (seen["threshold"], seen["credits"]) == (20 * CREDIT, 100 * CREDIT)
    assert seen["caps"] == {"day": 1000, "month": 2000, "per_hour": 5, "currency": "usd"}
    assert books.value("select topup_trigger from billing.credit_balances") == 20 * CREDIT


def test_switching_on_below_the_threshold_makes_a_check_due_at_once(books: Books) -> None:
    books.use(95)
    assert books.enable()["topup_due"]
    assert books.ledger.due_work(10)["accounts"] == ["a"]


def test_switching_on_below_the_threshold_waits_for_the_first_spend_of_all(books: Books) -> None:
    books.ledger.adjust_credits("x", "a", -95 * CREDIT, "abuse", "op")
    answer = books.enable()
    assert (answer["topup_due"], answer["waiting_reason"]) == (False, "next_spend")
    assert books.spend(1)["topup_due"]


def test_raising_the_threshold_above_the_balance_makes_a_check_due_if_the_last_movement_was_a_spend(
    books: Books,
) -> None:
    books.enable()
    assert not books.enable(threshold=100 * CREDIT)["topup_due"]
    books.spend(1)
    books.enable(threshold=10 * CREDIT)
    assert books.enable(threshold=99 * CREDIT)["topup_due"]


def test_switched_on_without_a_card_it_waits_for_one(books: Books) -> None:
    books.use(95)
    answer = books.enable_raw()
    assert (answer["paused_reason"], answer["topup_due"]) == ("no_payment_method", False)
    books.ledger.link_customer("a", "cus_a")
    assert books.ledger.set_default_payment_method("a", "pm_1", {}, "owner")["topup_due"]
    assert books.ask()["topup_id"]


def test_a_deleted_customer_switches_it_off_and_keeps_the_books(books: Books) -> None:
    books.enable()
    assert books.ledger.mark_customer_deleted("cus_a") == "a"
    seen = books.ledger.get_auto_topup("a")
    assert (seen["enabled"], seen["paused_reason"]) == (False, "customer_deleted")
    assert books.query("select actor, enabled from billing.auto_topup_consents order by id desc limit 1") == [
        {"actor": "stripe", "enabled": False}
    ]
    assert books.balance() == 100
    assert books.notices("topup.paused") == 1
    with books.nothing_moves():
        books.ledger.mark_customer_deleted("cus_a")
    books.assert_sound()
