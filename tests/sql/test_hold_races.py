"""The end of a hold: its time runs out, alone and in the same millisecond as everything else that ends it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.errors import Refused
from tests.sql.books import CREDIT, Books

INTERLEAVINGS = 1000


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 100)


def test_a_hold_nobody_settles_expires_once(books: Books) -> None:
    books.place(80, "one")
    assert books.ledger.expire_holds(10) == 0
    books.age("16 minutes")
    assert books.ledger.expire_holds(10) == 1
    hold = books.hold("one")
    assert (hold["state"], hold["remaining"], hold["available"]) == ("expired", 0, 100 * CREDIT)
    with books.nothing_moves():
        assert books.ledger.expire_holds(10) == 0
    with books.nothing_moves():
        assert books.ledger.release_hold("a", "one")["state"] == "expired"
    with books.refused("state_conflict"):
        books.ledger.extend_hold("a", "one", 60)
    with books.refused("state_conflict"):
        books.ledger.spend_credits("a", {"id": "e", "amount": 1, "hold_id": "one"})
    books.assert_sound()


@pytest.mark.parametrize("call", ["spend", "place"])
def test_a_hold_whose_time_is_up_gives_way_before_anything_is_refused(books: Books, call: str) -> None:
    books.place(80, "one")
    books.overdue("one")
    with books.refused("insufficient_credits"):
        getattr(books, call)(100.000001)
    assert books.hold("one")["state"] == "open"
    getattr(books, call)(100)
    assert books.hold("one")["state"] == "expired"
    books.assert_sound()


def test_a_settlement_after_the_end_charges_what_it_cost_once(books: Books) -> None:
    books.place(80, "one")
    books.age("16 minutes")
    books.ledger.expire_holds(10)
    books.spend(90)
    assert books.finish("one", 70)["state"] == "settled"
    with books.nothing_moves():
        assert books.finish("one", 70)["replayed"]
    assert books.balance() == -60
    books.assert_sound()


def test_a_draw_after_the_end_is_charged_and_reserves_nothing(books: Books) -> None:
    books.place(80, "one")
    books.overdue("one")
    books.ledger.expire_holds(10)
    late = books.draw("one", "d1", 70, reserve=5 * CREDIT)
    assert (late["state"], late["spent"], late["remaining"]) == ("expired", 70 * CREDIT, 0)
    assert late["refusal"] is not None
    assert late["refusal"]["sqlstate"] == "RF010"
    assert (books.balance(), books.held()) == (30, 0)
    books.assert_sound()


def test_an_extension_never_shortens_and_ends_a_day_after_the_placing(books: Books) -> None:
    books.place(10, "one", expires_in=7200)
    before = books.hold("one")["expires_at"]
    assert books.ledger.extend_hold("a", "one", 60)["expires_at"] == before
    books.age("1 hour")
    books.ledger.extend_hold("a", "one", 86400)
    assert books.value("select expires_at - created_at from billing.credit_holds").total_seconds() == 86400
    for seconds in (0, -1, 86401):
        with books.refused("invalid_value"):
            books.ledger.extend_hold("a", "one", seconds)
        with books.refused("invalid_value"):
            books.place(1, expires_in=seconds)


def test_a_child_pushes_the_ends_of_its_ancestors_and_never_outlives_them(books: Books) -> None:
    books.place(50, "run")
    books.place(40, "part", parent_id="run")
    books.place(30, "leaf", parent_id="part", expires_in=7200)
    ends = "select count(distinct expires_at) from billing.credit_holds"
    assert books.value(ends) == 1
    books.age("1 hour 55 minutes")
    books.ledger.extend_hold("a", "leaf", 900)
    assert books.value(ends) == 1
    assert books.ledger.expire_holds(10) == 0
    books.query(
        "update billing.credit_holds set created_at = now() - interval '23 hours 55 minutes' where id = 'run'"
    )
    books.place(1, "late", parent_id="leaf", expires_in=3600)
    books.assert_sound()
    books.age("16 minutes")
    assert books.ledger.expire_holds(10) == 1
    assert books.held() == 0
    books.assert_sound()


def test_the_sweep_takes_many_accounts_and_leaves_the_busy_one_for_the_next(books: Books) -> None:
    for number in range(5):
        books.open(f"b{number}", 10)
        books.place(5, f"h{number}", account=f"b{number}")
    books.age("16 minutes")
    with books.database.connect() as busy, busy.transaction():
        busy.execute("select from billing.credit_balances where account_id = 'b2' for update")
        assert books.ledger.expire_holds(10) == 4
        assert books.held("b2") == 5
    assert books.ledger.expire_holds(10) == 1
    books.assert_sound()


class Race:
    """One hold of one seed: what is done to it at once, by whom, and what it must have cost in the end."""

    def __init__(self, books: Books, seed: int) -> None:
        self.books, self.random, self.hold = books, random.Random(seed), f"h{seed}"
        self.cost = self.random.randint(1, 12) * CREDIT

    def run(self, threads: ThreadPoolExecutor) -> None:
        """Two threads behind a barrier; then whoever lost its answer asks once more."""
        books = self.books
        books.place(10, self.hold)
        if self.random.random() < 0.8:
            books.overdue(self.hold)
        rivals = self.random.choice(
            [[self.expire], [self.settle], [self.release], [self.extend], [self.expire, self.extend]]
        )
        mine: list[Callable[[], Any]] = [
            self.settle,
            *self.random.sample([self.expire, self.settle, self.extend], 1),
        ]
        self.random.shuffle(mine)
        barrier = threading.Barrier(2)

        def work(calls: list[Callable[[], Any]]) -> None:
            barrier.wait()
            for call in calls:
                call()

        for future in [threads.submit(work, calls) for calls in (rivals, mine)]:
            future.result()
        self.settle()
        self.expire()

    def settle(self) -> None:
        """By the amount; refused only when it was released, and then recorded as usage, as the refusal asks for."""
        try:
            self.books.ledger.settle_hold("a", self.hold, {"amount": self.cost})
        except Refused as refusal:
            assert (refusal.code, refusal.extra) == ("state_conflict", {"state": "released"})  # noqa: PT017
            self.books.ledger.record_usage([{"id": self.hold, "amount": self.cost}], "a")

    def release(self) -> None:
        try:
            self.books.ledger.release_hold("a", self.hold)
        except Refused as refusal:
            assert refusal.code == "state_conflict"  # noqa: PT017

    def extend(self) -> None:
        try:
            self.books.ledger.extend_hold("a", self.hold, 60)
        except Refused as refusal:
            assert refusal.code == "state_conflict"  # noqa: PT017

    def expire(self) -> None:
        self.books.ledger.expire_holds(10)


@pytest.mark.slow
def test_a_sweep_in_the_same_millisecond_as_a_late_settlement_charges_the_cost_once(books: Books) -> None:
    charged = 0
    with ThreadPoolExecutor(2) as threads:
        for seed in range(INTERLEAVINGS):
            race = Race(books, seed)
            race.run(threads)
            charged += race.cost
            balance, held = books.query("select balance, held from billing.credit_balances")[0].values()
            assert (balance, held) == (100 * CREDIT - charged, 0), f"seed {seed}"
            if charged > 80 * CREDIT:
                books.ledger.adjust_credits(f"again {seed}", "a", charged, "another round", "test")
                charged = 0
    states = {
        row["state"] for row in books.query("select distinct state::text as state from billing.credit_holds")
    }
    assert states == {"settled", "released"}
    books.assert_sound()
