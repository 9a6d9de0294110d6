"""Limits of departments, members and agents: counted with the movement, refused before it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.errors import Refused
from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 1000)


def spend(books: Books, credits: float, **more: Any) -> dict[str, Any]:
    event = {"id": books.fresh("e"), "amount": round(credits * CREDIT), "agent": "scout"} | more
    return dict(books.ledger.spend_credits("a", event))


def use(books: Books, credits: float, **more: Any) -> None:
    event = {"id": books.fresh("u"), "amount": round(credits * CREDIT), "agent": "scout"} | more
    assert books.ledger.record_usage([event], "a")["accepted"] == 1


def seen(books: Books, number: int = 0) -> tuple[float, float, float]:
    """used, held and left of a limit."""
    limit = books.ledger.list_limits("a")[number]
    assert limit["used"] is not None
    assert limit["held"] is not None
    assert limit["left"] is not None
    return limit["used"] / CREDIT, limit["held"] / CREDIT, limit["left"] / CREDIT


def roll(books: Books, window: str) -> None:
    """What was counted so far was counted in the window before this one."""
    books.query(
        "update billing.credit_limits set announced_for = announced_for - interval '40 days',"
        " window_start = date_trunc(period, window_start - interval '1 hour', 'UTC') where period = %s",
        window,
    )
    books.query("update billing.outbox set dedupe_key = 'earlier:' || id")
    books.query("update billing.credit_usage set occurred_at = occurred_at - interval '40 days'")


def test_a_hard_limit_refuses_what_passes_it_and_lets_the_last_credit_through(books: Books) -> None:
    books.limit(50)
    spend(books, 30)
    with books.refused("limit_reached") as refusal:
        spend(books, 20.000001)
    facts = refusal.value.extra
    resets = datetime.fromisoformat(facts.pop("resets_at"))
    assert facts == {
        "binding": "agent",
        "scope_id": "scout",
        "window": "day",
        "needed": 20 * CREDIT + 1,
        "available": 20 * CREDIT,
        "topup": None,
    }
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert resets in {today + timedelta(days=1), today}
    spend(books, 20)
    with books.refused("limit_reached"):
        spend(books, 0.000001)
    spend(books, 5, agent="writer")
    assert seen(books) == (50, 0, 0)
    books.assert_sound()


def test_the_tightest_of_several_limits_is_named(books: Books) -> None:
    for scope, window, credits in (("department", "month", 90), ("member", "week", 40), ("agent", "day", 60)):
        limit = {"scope": scope, "scope_id": "x", "window": window, "credits": credits * CREDIT}
        books.ledger.set_limit("a", limit, "admin")
    who = {"department_id": "x", "member_id": "x", "agent": "x"}
    with books.refused("limit_reached") as refusal:
        spend(books, 100, **who)
    assert (refusal.value.extra["binding"], refusal.value.extra["available"]) == ("member", 40 * CREDIT)
    quote = books.ledger.quote_credits("a", {"amount": 50 * CREDIT} | who)
    assert [(bound["binding"], bound["available"] // CREDIT) for bound in quote["bounds"]] == [
        ("member", 40),
        ("agent", 60),
        ("department", 90),
        ("balance", 1000),
    ]
    assert (quote["binding"], quote["sufficient"]) == ("member", False)


def test_a_soft_limit_refuses_nothing_and_is_announced_once_a_window(books: Books) -> None:
    books.limit(50, hard=False)
    spend(books, 49)
    assert books.notices("limit.reached") == 0
    spend(books, 1)
    assert books.notices("limit.reached") == 1
    spend(books, 100)
    use(books, 10)
    assert books.notices("limit.reached") == 1
    payload = books.value("select payload from billing.outbox where topic = 'limit.reached'")
    assert (payload["scope_id"], payload["window"], payload["credits"]) == ("scout", "day", 50 * CREDIT)
    roll(books, "day")
    spend(books, 49)
    assert books.notices("limit.reached") == 1
    spend(books, 49)
    assert books.notices("limit.reached") == 2
    books.assert_sound()


def test_a_refusal_is_announced_by_its_caller_once_a_window(books: Books) -> None:
    books.limit(50)
    for _ in range(3):
        with books.refused("limit_reached"):
            spend(books, 51)
        books.ledger.announce_limit("a", "agent", "scout", "day")
    assert books.notices("limit.reached") == 1
    spend(books, 50)
    assert books.notices("limit.reached") == 1
    with books.nothing_moves():
        books.ledger.announce_limit("a", "agent", "nobody", "day")


def test_a_refusal_is_announced_although_nothing_was_counted_in_its_window_yet(books: Books) -> None:
    books.limit(50)
    spend(books, 50)
    roll(books, "day")
    books.query("update billing.credit_limits set announced_for = window_start")
    with books.refused("limit_reached"):
        spend(books, 51)
    books.ledger.announce_limit("a", "agent", "scout", "day")
    books.ledger.announce_limit("a", "agent", "scout", "day")
    assert books.notices("limit.reached") == 2
    spend(books, 50)
    assert books.notices("limit.reached") == 2


@pytest.mark.parametrize("window", ["day", "week", "month"])
def test_a_new_window_begins_with_nothing_used(books: Books, window: str) -> None:
    books.limit(50, window)
    spend(books, 50)
    roll(books, window)
    assert seen(books) == (0, 0, 50)
    spend(books, 50)
    with books.refused("limit_reached"):
        spend(books, 0.000001)
    books.assert_sound()


@pytest.mark.parametrize(
    ("window", "weekday", "day"), [("day", None, None), ("week", 0, None), ("month", None, 1)]
)
def test_windows_begin_at_midnight_utc_on_mondays_and_on_the_first(
    books: Books, window: str, weekday: int | None, day: int | None
) -> None:
    books.query("set timezone = 'Asia/Tokyo'")
    limit = json.dumps({"scope": "agent", "scope_id": "scout", "window": window, "credits": 1})
    answer = books.value("select billing.set_limit('a', %s, 'admin')", limit)
    for name in ("window_started_at", "resets_at"):
        at = datetime.fromisoformat(answer[name]).astimezone(UTC)
        assert (at.hour, at.minute, at.second) == (0, 0, 0)
        assert weekday is None or at.weekday() == weekday
        assert day is None or at.day == day


def test_what_is_held_counts_until_it_is_given_back(books: Books) -> None:
    books.limit(50)
    books.place(40, "one", agent="scout")
    assert seen(books) == (0, 40, 10)
    with books.refused("limit_reached") as refusal:
        books.place(11, agent="scout")
    assert refusal.value.extra["available"] == 10 * CREDIT
    with books.refused("limit_reached"):
        spend(books, 11)
    books.draw("one", "d1", 5)
    assert seen(books) == (5, 35, 10)
    books.finish("one", 15)
    assert seen(books) == (20, 0, 30)
    books.place(30, "two", agent="scout")
    books.age("16 minutes")
    books.ledger.expire_holds(10)
    assert seen(books) == (20, 0, 30)
    books.finish("two", 45)
    assert seen(books) == (65, 0, 0)
    books.assert_sound()


def test_a_hold_for_one_agent_settled_for_another_counts_where_it_was_used(books: Books) -> None:
    books.limit(50)
    books.limit(50, agent="writer")
    books.place(40, "one", agent="scout")
    books.finish("one", usage=[{"amount": 10 * CREDIT}, {"amount": 20 * CREDIT, "agent": "writer"}])
    assert (seen(books, 0), seen(books, 1)) == ((10, 0, 40), (20, 0, 30))
    books.assert_sound()


def test_what_an_ancestor_reserved_of_a_limit_is_not_counted_twice(books: Books) -> None:
    books.limit(50)
    books.place(40, "run", agent="scout")
    books.place(30, "part", parent_id="run")
    books.place(20, "leaf", parent_id="part", agent="scout")
    assert seen(books) == (0, 40, 10)
    spend(books, 20, hold_id="leaf")
    assert seen(books) == (20, 20, 10)
    books.finish("part", 10)
    assert seen(books) == (30, 10, 10)
    books.ledger.release_hold("a", "run")
    assert seen(books) == (30, 0, 20)
    books.assert_sound()


def test_a_child_of_an_agent_of_its_own_counts_for_that_agent(books: Books) -> None:
    books.limit(50)
    books.limit(15, agent="writer")
    books.place(40, "run", agent="scout")
    with books.refused("limit_reached") as refusal:
        books.place(16, parent_id="run", agent="writer")
    assert refusal.value.extra["scope_id"] == "writer"
    books.place(10, "part", parent_id="run", agent="writer")
    assert (seen(books, 0), seen(books, 1)) == ((0, 40, 10), (0, 10, 5))
    books.finish("part", 12)
    assert (seen(books, 0), seen(books, 1)) == ((0, 28, 22), (12, 0, 3))
    books.assert_sound()


def test_a_spend_from_a_run_is_bound_by_the_limits_that_the_run_has_not_reserved(books: Books) -> None:
    books.place(40, "run")
    books.limit(10)
    spend(books, 10, hold_id="run")
    with books.refused("limit_reached") as refusal:
        spend(books, 1, hold_id="run")
    assert refusal.value.extra["binding"] == "agent"
    assert not books.ledger.quote_credits("a", {"amount": 1, "hold_id": "run", "agent": "scout"})[
        "sufficient"
    ]
    spend(books, 1, hold_id="run", agent="writer")
    books.assert_sound()


def test_usage_after_the_fact_is_counted_and_never_refused(books: Books) -> None:
    books.limit(50)
    use(books, 80)
    assert seen(books) == (80, 0, 0)
    assert books.notices("limit.reached") == 1
    books.ledger.record_usage([{"id": f"b{n}", "amount": CREDIT, "agent": "scout"} for n in range(5)], "a")
    assert seen(books)[0] == 85
    books.assert_sound()


def test_late_usage_counts_in_its_own_window(books: Books) -> None:
    for window in ("day", "week", "month"):
        books.limit(500, window)
    now = datetime.now(UTC)
    use(books, 1, occurred_at=(now - timedelta(days=400)).isoformat())
    spend(books, 2, occurred_at=(now - timedelta(days=400)).isoformat())
    use(books, 4, occurred_at=(now + timedelta(days=400)).isoformat())
    use(books, 8, occurred_at=now.isoformat())
    assert [seen(books, number)[0] for number in range(3)] == [12, 12, 12]
    earlier = (now - timedelta(days=1)).replace(hour=12)
    use(books, 16, occurred_at=earlier.isoformat())
    expected = [12, 28 if now.weekday() else 12, 28 if now.day > 1 else 12]
    assert [seen(books, number)[0] for number in range(3)] == expected
    books.assert_sound()


def test_a_movement_that_began_before_midnight_counts_in_no_window_of_the_next_day(books: Books) -> None:
    """Another one that began after it has opened the window already."""
    books.limit(50)
    books.query(
        "update billing.credit_limits set window_start = window_start + interval '1 day', used = %s", CREDIT
    )
    spend(books, 20)
    row = books.query("select used, window_start > now() as tomorrow from billing.credit_limits")[0]
    assert row == {"used": CREDIT, "tomorrow": True}


def test_a_limit_set_in_the_middle_of_a_window_counts_what_was_spent_and_held(books: Books) -> None:
    spend(books, 10)
    use(books, 20)
    books.place(15, "one", agent="scout")
    books.place(15, "child", parent_id="one", agent="writer")
    limit = books.limit(40)
    assert (limit["used"], limit["held"], limit["left"]) == (30 * CREDIT, 15 * CREDIT, 0)
    assert books.notices("limit.reached") == 0
    books.limit(30)
    assert books.notices("limit.reached") == 1
    books.limit(30)
    assert books.notices("limit.reached") == 1
    books.assert_sound()


def test_a_limit_is_raised_and_removed_and_set_again(books: Books) -> None:
    books.limit(10)
    spend(books, 10)
    with books.refused("limit_reached"):
        spend(books, 1)
    books.limit(12)
    spend(books, 2)
    assert books.notices("limit.reached") == 2
    assert books.limit(None)["credits"] is None
    assert books.ledger.list_limits("a") == []
    assert books.value("select limited from billing.credit_balances") is False
    spend(books, 100)
    assert books.limit(None)["credits"] is None
    assert books.limit(0)["used"] == 112 * CREDIT
    with books.refused("limit_reached"):
        spend(books, 0.000001)
    books.assert_sound()


def test_spends_at_once_pass_a_hard_limit_exactly_as_far_as_they_fit(books: Books) -> None:
    books.limit(50)
    answers = books.together(30, lambda _: spend(books, 3))
    assert sum(isinstance(answer, dict) for answer in answers) == 16
    assert {answer.code for answer in answers if isinstance(answer, Refused)} == {"limit_reached"}
    assert seen(books) == (48, 0, 2)
    books.assert_sound()


def test_spends_holds_and_usage_at_once_are_all_counted(books: Books) -> None:
    books.limit(100)
    books.limit(100, "month")

    def work(number: int) -> None:
        for step in range(6):
            name = f"{number}.{step}"
            use(books, 1)
            spend(books, 1)
            books.place(2, name, agent="scout")
            if step % 2:
                books.finish(name, 1)
            elif step == 4:
                books.ledger.release_hold("a", name)

    answers = books.together(4, work)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert seen(books, 0) == seen(books, 1) == (60, 16, 24)
    books.assert_sound()


@pytest.mark.parametrize(
    "change",
    [
        {"scope": "team"},
        {"scope": None},
        {"scope_id": ""},
        {"scope_id": None},
        {"scope_id": "x" * 256},
        {"window": "hour"},
        {"window": None},
        {"credits": -1},
        {"credits": 10**15 + 1},
        {"credits": "NaN"},
        {"credits": 1.5},
        {"hard": "perhaps"},
    ],
    ids=repr,
)
def test_what_is_no_limit_is_refused(books: Books, change: dict[str, Any]) -> None:
    limit = {"scope": "agent", "scope_id": "x", "window": "day", "credits": 1} | change
    with books.refused("invalid_value"):
        books.ledger.set_limit("a", limit, "admin")
    with books.refused("unknown_account"):
        books.ledger.list_limits("nobody")
