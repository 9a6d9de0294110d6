"""Runs: a hold with a budget, whose children reserve from it and never from the account."""

from __future__ import annotations

import random
from typing import Any

import pytest

from shared.errors import Refused
from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 100)


def run_spend(books: Books, hold_id: str, credits: float, **more: Any) -> dict[str, Any]:
    event = {"id": books.fresh("e"), "amount": round(credits * CREDIT), "hold_id": hold_id}
    return dict(books.ledger.spend_credits("a", event | more))


def test_a_child_reserves_from_its_parent_and_the_account_holds_no_more(books: Books) -> None:
    books.place(50, "run")
    child = books.place(30, "part", parent_id="run")
    assert (child["parent_id"], child["available"]) == ("run", 50 * CREDIT)
    assert (books.hold("run")["remaining"], books.hold("run")["reserved"]) == (20 * CREDIT, 30 * CREDIT)
    with books.refused("limit_reached") as refusal:
        books.place(20.000001, parent_id="run")
    assert refusal.value.extra == {
        "binding": "run",
        "hold_id": "run",
        "needed": 20 * CREDIT + 1,
        "available": 20 * CREDIT,
        "topup": None,
    }
    assert books.held() == 50
    books.assert_sound()


def test_a_child_is_repeated_by_its_id_when_its_parent_has_no_more_room(books: Books) -> None:
    books.place(50, "run")
    answers = books.together(6, lambda _: books.place(40, "part", parent_id="run"))
    assert sorted(answer["replayed"] for answer in answers if isinstance(answer, dict)) == [False] + 5 * [
        True
    ]
    with books.refused("idempotency_conflict"):
        books.place(41, "part", parent_id="run")
    books.assert_sound()


def test_a_spend_from_a_run_is_bound_by_its_budget_and_not_by_the_balance(books: Books) -> None:
    books.place(60, "run")
    books.spend(40)
    answer = run_spend(books, "run", 25)
    assert (answer["credits"], answer["available"]) == (25 * CREDIT, 0)
    with books.refused("limit_reached") as refusal:
        run_spend(books, "run", 35.000001)
    assert (refusal.value.extra["binding"], refusal.value.extra["available"]) == ("run", 35 * CREDIT)
    run_spend(books, "run", 35)
    assert (books.balance(), books.held()) == (0, 0)
    books.assert_sound()


def test_a_spend_from_a_run_is_repeated_by_its_id_also_after_its_end(books: Books) -> None:
    books.place(60, "run")
    event = {"id": "e", "amount": CREDIT, "hold_id": "run"}
    answers = books.together(8, lambda _: books.ledger.spend_credits("a", event))
    assert sorted(answer["replayed"] for answer in answers if isinstance(answer, dict)) == [False] + 7 * [
        True
    ]
    books.finish("run", 0)
    with books.nothing_moves():
        assert books.ledger.spend_credits("a", event)["replayed"]
    with books.refused("idempotency_conflict"):
        books.ledger.spend_credits("a", {"id": "e", "amount": CREDIT})
    books.assert_sound()


def test_what_a_child_does_not_name_is_its_parents(books: Books) -> None:
    books.place(60, "run", agent="scout", department_id="d", member_id="m", run_id="r")
    books.place(20, "part", parent_id="run", agent="writer")
    run_spend(books, "part", 1)
    run_spend(books, "run", 1, member_id="n")
    books.finish("part", usage=[{"amount": CREDIT}, {"amount": CREDIT, "department_id": "e"}])
    rows = books.query("select agent, department_id, member_id, run_id from billing.credit_usage order by id")
    assert [tuple(row.values()) for row in rows] == [
        ("writer", "d", "m", "r"),
        ("scout", "d", "n", "r"),
        ("writer", "d", "m", "r"),
        ("writer", "e", "m", "r"),
    ]


def test_a_child_that_cost_more_takes_from_its_parents_room_first(books: Books) -> None:
    books.place(50, "run")
    books.place(20, "one", parent_id="run")
    books.place(20, "two", parent_id="run")
    books.finish("one", 28)
    assert books.hold("run")["remaining"] == 2 * CREDIT
    assert (books.balance(), books.held()) == (72, 22)
    books.finish("two", 20)
    assert (books.hold("run")["remaining"], books.held()) == (2 * CREDIT, 2)
    books.assert_sound()


def test_what_a_child_cost_beyond_the_whole_run_is_charged_and_its_siblings_keep_their_own(
    books: Books,
) -> None:
    books.place(50, "run")
    books.place(20, "one", parent_id="run")
    books.place(20, "two", parent_id="run")
    books.finish("one", 45)
    assert (books.hold("run")["remaining"], books.hold("two")["remaining"]) == (0, 20 * CREDIT)
    assert (books.balance(), books.held()) == (55, 20)
    books.assert_sound()
    run_spend(books, "two", 20)
    with books.refused("limit_reached"):
        run_spend(books, "run", 0.000001)
    books.finish("run", 5)
    assert (books.balance(), books.held()) == (30, 0)
    books.assert_sound()


@pytest.mark.parametrize("end", ["settle", "release", "expire"])
def test_the_end_of_a_part_whose_children_kept_more_than_the_run_had_left_holds_nothing(
    books: Books, end: str
) -> None:
    """47 of 60 are spent, and the leaf holds 15 that the part no longer has: the account holds 15, then 13."""
    books.place(60, "run")
    books.place(50, "part", parent_id="run")
    books.place(15, "leaf", parent_id="part")
    books.draw("part", "d1", 47)
    assert books.held() == 15
    if end == "settle":
        books.finish("part", 0)
    elif end == "release":
        books.ledger.release_hold("a", "part")
    else:
        books.query("update billing.credit_holds set expires_at = now() where id <> 'run'")
        books.ledger.expire_holds(10)
    assert books.held() == 13
    books.assert_sound()


@pytest.mark.parametrize("end", ["settle", "release", "expire"])
def test_the_end_of_a_parent_closes_its_tree(books: Books, end: str) -> None:
    books.place(90, "run")
    for number in range(5):
        books.place(15, f"part{number}", parent_id="run")
        books.place(10, f"leaf{number}", parent_id=f"part{number}")
    run_spend(books, "leaf3", 4)
    if end == "settle":
        books.finish("run", 6)
    elif end == "release":
        books.ledger.release_hold("a", "run")
    else:
        books.age("16 minutes")
        assert books.ledger.expire_holds(10) == 1
    states = {row["id"]: row["state"] for row in books.ledger.list_holds("a", 99, None)["data"]}
    closed = "expired" if end == "expire" else "released"
    assert states.pop("run") == ("settled" if end == "settle" else closed)
    assert set(states.values()) == {closed}
    assert books.balance() == (90 if end == "settle" else 96)
    assert books.held() == 0
    with books.refused("state_conflict"):
        books.place(1, parent_id="run")
    with books.refused("state_conflict"):
        run_spend(books, "leaf1", 1)
    if end == "expire":
        books.finish("leaf1", 3)
        assert books.hold("run")["spent"] == 7 * CREDIT
    else:
        with books.refused("state_conflict"):
            books.finish("leaf1", 3)
    books.assert_sound()


def test_a_run_that_is_settled_without_a_word_costs_its_budget_once(books: Books) -> None:
    books.place(50, "run")
    books.place(20, "part", parent_id="run")
    run_spend(books, "part", 15)
    assert books.finish("run")["spent"] == 50 * CREDIT
    assert books.balance() == 50
    books.assert_sound()


def test_the_smallest_amounts_add_up_through_every_level(books: Books) -> None:
    books.ledger.place_hold("a", {"id": "h0", "amount": 7})
    for level in range(1, 4):
        books.ledger.place_hold("a", {"id": f"h{level}", "parent_id": f"h{level - 1}", "amount": 7 - level})
    for number in range(4):
        books.ledger.spend_credits("a", {"id": f"e{number}", "amount": 1, "hold_id": "h3"})
    with books.refused("limit_reached"):
        books.ledger.spend_credits("a", {"id": "more", "amount": 1, "hold_id": "h3"})
    books.ledger.spend_credits("a", {"id": "e9", "amount": 1, "hold_id": "h0"})
    assert [books.hold(f"h{level}")["spent"] for level in range(4)] == [5, 4, 4, 4]
    books.ledger.release_hold("a", "h0")
    assert (books.balance(), books.held()) == (99.999995, 0)
    books.assert_sound()


def test_holds_nest_two_hundred_levels_and_at_most_256(books: Books) -> None:
    books.ledger.place_hold("a", {"id": "h0", "amount": 1000})
    for level in range(1, 256):
        books.ledger.place_hold(
            "a", {"id": f"h{level}", "parent_id": f"h{level - 1}", "amount": 1000 - level}
        )
    with books.refused("invalid_value"):
        books.place(0.000001, parent_id="h255")
    books.ledger.spend_credits("a", {"id": "e", "amount": 100, "hold_id": "h255"})
    assert books.hold("h0")["spent"] == 100
    books.age("16 minutes")
    assert books.ledger.expire_holds(10) == 1
    assert books.held() == 0
    books.assert_sound()


def test_two_thousand_children_close_with_their_parent(books: Books) -> None:
    books.place(90, "run")
    books.limit(90)
    books.query(
        "select billing.place_hold('a', jsonb_build_object('id', 'h' || n, 'parent_id', 'run', 'amount', 1000,"
        " 'agent', 'scout')) from generate_series(1, 2000) n"
    )
    assert books.ledger.list_limits("a")[0]["held"] == 2_000_000
    books.finish("run", 1)
    assert books.ledger.list_limits("a")[0]["held"] == 0
    assert books.value("select count(*) from billing.credit_holds where state = 'open'") == 0
    books.assert_sound()


class Worker:
    """One connection that places, spends, settles and releases anywhere in the tree of one run."""

    def __init__(self, books: Books, number: int) -> None:
        self.books, self.random, self.number = books, random.Random(number), number
        self.open = {"run": 0}
        self.charged = 0
        self.refusals: list[str] = []

    def work(self) -> int:
        for step in range(80):
            hold = self.random.choice(sorted(self.open))
            name = f"{self.number}.{step}"
            try:
                self.act(hold, name, self.random.randint(1, 2 * CREDIT))
            except Refused as refusal:
                self.refusals.append(refusal.code)
        return self.charged

    def act(self, hold: str, name: str, amount: int) -> None:
        ledger, deed = self.books.ledger, self.random.random()
        if deed < 0.4 and self.open[hold] < 3:
            ledger.place_hold("a", {"id": name, "parent_id": hold, "amount": amount})
            self.open[name] = self.open[hold] + 1
        elif deed < 0.75 or hold == "run":
            ledger.spend_credits("a", {"id": name, "amount": amount // 3 + 1, "hold_id": hold})
            self.charged += amount // 3 + 1
        else:
            # Nobody else uses the holds of this worker, but for their room, so what is left may be charged.
            self.open = {other: depth for other, depth in self.open.items() if other != hold}
            if deed < 0.9:
                left = ledger.get_hold("a", hold)["remaining"]
                ledger.settle_hold("a", hold, {"amount": left})
                self.charged += left
            else:
                ledger.release_hold("a", hold)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_tree_of_runs_under_load_never_passes_its_root_by_a_micro_credit(books: Books, seed: int) -> None:
    books.place(90, "run")
    workers = [Worker(books, 100 * seed + number) for number in range(8)]
    answers = books.together(8, lambda number: workers[number].work())
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    charged = sum(worker.charged for worker in workers)
    run = books.hold("run")
    assert run["spent"] == charged <= 90 * CREDIT
    assert "limit_reached" in workers[0].refusals
    assert {code for worker in workers for code in worker.refusals} <= {
        "limit_reached",
        "state_conflict",
        "not_found",
    }
    assert books.value("select count(*) from billing.credit_holds where parent_id is not null") >= 50
    assert books.value("select max(depth) from billing.credit_holds") == 3
    books.assert_sound()
    books.ledger.release_hold("a", "run")
    assert books.held() == 0
    assert books.value("select balance from billing.credit_balances") == 100 * CREDIT - charged
    assert books.value("select count(*) from billing.credit_holds where state = 'open'") == 0
    books.assert_sound()
