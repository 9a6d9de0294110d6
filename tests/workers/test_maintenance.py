"""The sweep and the checks: what is due is found by rows alone, and one failure stops nothing else."""

from __future__ import annotations

import json

import pytest

from shared import queue
from shared.errors import DatabaseUnavailable, QueueUnavailable
from tests.workers.world import ACCOUNT, World
from workers import maintenance, scheduler


def test_sweep_enqueues_everything_that_is_due(world: World) -> None:
    payment = world.buy()
    world.query("update billing.payments set next_check_at = now()")
    world.ledger.record_stripe_event("evt_due", "x", None, False, None, json.dumps({}).encode(), None, None)
    world.spend(90)
    world.ledger.open_topup(ACCOUNT, "top_1", "pay_t")
    maintenance.sweep(world.app)
    assert {
        (queue.CHARGE_TOPUP, "top_1"),
        (queue.PROCESS_EVENT, "evt_due"),
        (queue.CHECK_PAYMENT, payment["id"]),
    } <= set(world.queue.sent)


def test_sweep_finds_an_account_whose_check_was_never_sent(world: World) -> None:
    """No. 62: the message got lost."""
    world.spend(90)
    maintenance.sweep(world.app)
    assert (queue.CHECK_THRESHOLD, ACCOUNT) in world.queue.sent


def test_step_that_fails_does_not_stop_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_limit: int) -> int:
        raise RuntimeError("bug")

    done: list[int] = []
    monkeypatch.setattr(world.ledger, "due_work", fail)
    monkeypatch.setattr(world.ledger, "expire_lots", lambda limit: done.append(limit) or 3)
    monkeypatch.setattr(world.ledger, "finish_job", lambda _job, result: done.append(result))
    maintenance.sweep(world.app)
    assert [done[0], done[1]["enqueued"], done[1]["expired"]] == [maintenance.EXPIRY_ACCOUNTS_MAX, None, 3]


def test_sweep_survives_a_queue_that_is_away(world: World) -> None:
    world.spend(90)
    world.queue.error = QueueUnavailable("down")
    maintenance.sweep(world.app)
    assert world.queue.sent == []


def test_violated_invariant_is_an_error_with_examples(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = [{"invariant": "check_balance", "violations": 2, "examples": [ACCOUNT]}]
    monkeypatch.setattr(world.ledger, "check_invariants", lambda: found)
    maintenance.run_checks(world.app)
    record = next(record for record in caplog.records if record.message == "invariant violated")
    assert [record.levelname, vars(record)["invariant"], vars(record)["examples"]] == [
        "ERROR",
        "check_balance",
        [ACCOUNT],
    ]


def test_several_schedulers_fire_a_slot_once(world: World) -> None:
    fired = [job for _ in range(3) for job in scheduler.tick(world.app)]
    assert sorted(fired) in (sorted(scheduler.PERIODS), sorted([*scheduler.PERIODS, queue.SWEEP]))
    assert [actor for actor, _ in world.queue.sent] == fired


@pytest.mark.parametrize("error", [DatabaseUnavailable("down"), RuntimeError("bug")])
def test_scheduler_survives_a_database_that_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_job: str, _period: int) -> bool:
        raise error

    monkeypatch.setattr(world.ledger, "claim_slot", fail)
    assert scheduler.tick(world.app) == []


def test_scheduler_survives_a_queue_that_is_away(world: World) -> None:
    world.queue.error = QueueUnavailable("down")
    assert scheduler.tick(world.app) == []
