"""Reconciling thousands of payments: reads at Stripe, memory, and what a killed run reads again."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator

import pytest

from bench import payments as bulk
from local.stripe.app import LocalStripe
from shared import keys
from tests.workers.test_reconciliation import differences, paid_purchase, reconcile
from tests.workers.test_with_local_stripe import Shop, server, shop
from workers import reconciliation

__all__ = ["server", "shop"]
FEW, MANY = 600, 1_800
UNPAID_EVERY = 100


class Fill:
    """Payments like one that was really paid, in the books and at the local Stripe."""

    def __init__(self, shop: Shop, server: LocalStripe) -> None:
        self.shop, self.server = shop, server
        self.first = paid_purchase(shop)
        shop.deliver()

    def __call__(self, numbers: range, *, unpaid_every: int = 0) -> None:
        with self.server.engine.transaction():
            bulk.at_stripe(self.server.engine.store.db, self.first["id"], self.first["intent"], numbers)
        bulk.in_books(self.shop.world.connection, self.first["id"], numbers, unpaid_every)


@pytest.fixture
def fill(shop: Shop, server: LocalStripe) -> Fill:
    return Fill(shop, server)


def reads(shop: Shop) -> int:
    return len(shop.control.requests(method="GET"))


def run_measured(shop: Shop) -> tuple[int, int]:
    """A whole run: its reads at Stripe, and the most memory that it held at once, in bytes."""
    before = reads(shop)
    tracemalloc.start()
    try:
        reconcile(shop)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return reads(shop) - before, peak


@pytest.mark.slow
def test_thousands_that_agree_cost_less_than_two_reads_a_hundred_and_the_memory_of_one_page(
    shop: Shop, fill: Fill
) -> None:
    fill(range(FEW))
    few_reads, few = run_measured(shop)
    fill(range(FEW, MANY))
    many_reads, many = run_measured(shop)
    assert many_reads / MANY * 100 < 2
    assert many_reads - few_reads <= (MANY - FEW) // 100 + 1, (
        "a page more for every hundred, one for the rest, and nothing else"
    )
    assert many < 1.5 * few
    assert differences(shop) == []


@pytest.mark.slow
def test_what_differs_among_thousands_is_mended_without_further_reads(shop: Shop, fill: Fill) -> None:
    fill(range(FEW), unpaid_every=UNPAID_EVERY)
    before, began = shop.world.balance, reads(shop)
    unpaid = FEW // UNPAID_EVERY
    first, asked = reconcile(shop), reads(shop)
    assert (shop.world.balance, first["counts"]["repaired"]) == (before + 100 * unpaid, unpaid)
    again = reconcile(shop)
    assert "repaired" not in again["counts"]
    assert asked - began == reads(shop) - asked, "as many as a run in which nothing differs"
    assert differences(shop) == []


class KilledError(BaseException):
    """The process is gone: nothing in it may handle this."""


@pytest.mark.slow
def test_a_run_that_was_killed_reads_again_only_the_page_it_was_at(
    shop: Shop, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(range(FEW), unpaid_every=UNPAID_EVERY)
    compared = reconciliation.STEPS["payments"]
    pages: Iterator[int] = iter(range(1_000))

    def killed(*page: object) -> None:
        compared(*page)  # type: ignore[arg-type]
        if next(pages) == FEW // 200:
            raise KilledError

    monkeypatch.setitem(reconciliation.STEPS, "payments", killed)
    world, before = shop.world, len(shop.control.requests(method="GET", path="/v1/payment_intents"))
    run_id = world.ledger.open_reconciliation(keys.new_id("rec"), "2020-01-01T00:00:00Z", None)["id"]
    with pytest.raises(KilledError):
        reconciliation.reconcile(world.app, run_id)
    world.query("update billing.reconciliations set lease_until = now()")
    reconciliation.reconcile(world.app, run_id)
    assert world.ledger.get_reconciliation(run_id)["state"] == "done"  # type: ignore[index]
    asked = shop.control.requests(method="GET", path="/v1/payment_intents")[before:]
    cursors = Counter(str(request["params"].get("starting_after")) for request in asked)
    assert sorted(cursors.values())[-2:] == [1, 2], "one page twice, all others once"
    assert len(asked) == FEW // 100 + 2, "a page more for the first purchase, and the one that was read again"
    assert shop.world.balance == 200 + 100 * FEW
