"""The sweep and the checks: what is due is found by rows alone, and one failure stops nothing else."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared import queue
from shared.errors import DatabaseUnavailable, QueueUnavailable
from shared.ledger import Ledger
from tests.support import wait_until
from tests.workers.world import ACCOUNT, CREDIT, World
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


def hold(world: World, name: str, **more: object) -> None:
    """A hold of two credits whose time is up."""
    world.ledger.place_hold(ACCOUNT, {"id": name, "amount": 2 * CREDIT, **more})
    world.query("update billing.credit_holds set expires_at = now() where state = 'open'")


def held(world: World) -> tuple[int, set[str]]:
    """Credits that the account holds, and the states of its holds."""
    amount = world.query("select held from billing.credit_balances where account_id = %s", ACCOUNT)[0]["held"]
    return amount // CREDIT, {row["state"] for row in world.query("select state from billing.credit_holds")}


def test_sweep_gives_back_what_expired_holds_held(world: World) -> None:
    hold(world, "run")
    hold(world, "call", expires_in=60)
    assert held(world) == (4, {"open"})
    maintenance.sweep(world.app)
    assert held(world) == (0, {"expired"})
    world.assert_sound()


def test_operators_see_how_many_holds_are_open_and_how_many_are_overdue(world: World) -> None:
    hold(world, "late")
    world.ledger.place_hold(ACCOUNT, {"id": "young", "amount": CREDIT})
    summary = world.ledger.operations_summary()
    assert (summary["holds_open"], summary["holds_overdue"]) == (2, 1)
    maintenance.sweep(world.app)
    summary = world.ledger.operations_summary()
    assert (summary["holds_open"], summary["holds_overdue"]) == (1, 0)


def test_sweep_expires_more_holds_of_one_account_than_one_call_does(world: World) -> None:
    world.query(
        "do $$ begin for n in 1..1050 loop perform billing.place_hold(%s,"
        " jsonb_build_object('id', 'h' || n, 'amount', 1000)); end loop; end $$".replace("%s", f"'{ACCOUNT}'")
    )
    world.query("update billing.credit_holds set expires_at = now()")
    assert world.ledger.expire_holds(1) == 1
    assert held(world)[1] == {"open", "expired"}
    maintenance.sweep(world.app)
    assert held(world) == (0, {"expired"})
    world.assert_sound()


def test_holds_of_an_account_that_is_locked_wait_and_the_others_do_not(world: World) -> None:
    world.ledger.open_account("acct_0", "Other", None, None, 10 * CREDIT, "test")
    world.ledger.place_hold("acct_0", {"id": "other", "amount": CREDIT})
    hold(world, "mine")
    lock = "select from billing.credit_balances where account_id = 'acct_0' for update"
    with world.database.connect() as other, other.transaction():
        other.execute(lock)
        maintenance.sweep(world.app)
        assert held(world) == (0, {"open", "expired"})
    maintenance.sweep(world.app)
    assert held(world) == (0, {"expired"})


def test_holds_of_a_busy_account_are_waited_for(world: World) -> None:
    hold(world, "mine")
    waiting = "select count(*) as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    with world.database.connect() as other, ThreadPoolExecutor(1) as threads:
        with other.transaction():
            other.execute("select from billing.credit_balances for update")
            expiring = threads.submit(world.ledger.expire_holds, 10)
            wait_until(lambda: world.query(waiting)[0]["n"] == 1, 10, interval=0.01)
        assert expiring.result() == 1
    assert held(world) == (0, {"expired"})


def test_sweep_books_parked_usage_once_its_card_is_there(world: World) -> None:
    events = [{"id": f"u{n}", "account_id": ACCOUNT, "action": "dance", "quantity": 1} for n in range(3)]
    world.ledger.record_usage(events)
    maintenance.sweep(world.app)
    assert world.balance == 100
    world.ledger.set_action_cost({"action": "dance", "credits": 31 * CREDIT}, "test")
    world.queue.sent.clear()
    maintenance.sweep(world.app)
    assert (queue.CHECK_THRESHOLD, ACCOUNT) in world.queue.sent
    maintenance.sweep(world.app)
    assert world.balance == 7
    assert world.ledger.list_parked_usage(10, None)["data"] == []
    world.assert_sound()


def test_long_work_is_done_in_calls_and_stops_when_its_time_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([50, 50, 7, 0])
    monkeypatch.setattr(world.ledger, "expire_holds", lambda _limit: next(answers))
    assert maintenance._expire_holds(world.app) == 107
    monkeypatch.setattr(maintenance, "STEP_SECONDS_MAX", 0)
    monkeypatch.setattr(world.ledger, "expire_holds", lambda _limit: 50)
    assert maintenance._expire_holds(world.app) == 50


@pytest.mark.parametrize("step", ["due_work", "expire_lots", "expire_holds", "reprice_usage"])
@pytest.mark.parametrize("error", [DatabaseUnavailable("down"), RuntimeError("bug")])
def test_whichever_step_fails_the_others_run(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    def fail(_limit: int) -> int:
        raise error

    results: list[dict[str, object]] = []
    monkeypatch.setattr(world.ledger, step, fail)
    monkeypatch.setattr(world.ledger, "finish_job", lambda _job, result: results.append(result))
    maintenance.sweep(world.app)
    assert [value is None for value in results[0].values()].count(True) == 1


def test_sweep_survives_a_queue_that_is_away(world: World) -> None:
    world.spend(90)
    world.queue.error = QueueUnavailable("down")
    maintenance.sweep(world.app)
    assert world.queue.sent == []


def test_violated_invariant_is_an_error_with_examples(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = [{"invariant": "check_balance", "violations": 2, "examples": [ACCOUNT]}]
    monkeypatch.setattr(Ledger, "check_invariants", lambda _ledger: found)
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


def test_sweep_announces_lots_that_expire_soon(world: World) -> None:
    world.query(
        "update billing.credit_lots set expires_at = now() + interval '6 days' where account_id = %s", ACCOUNT
    )
    for _ in range(2):
        maintenance.sweep(world.app)
    (notice,) = world.notices("lot.expiring")
    assert notice["payload"]["credits"] == 100 * CREDIT


def test_usage_is_rolled_up_to_its_end_in_small_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "ROLLED_ACCOUNTS_MAX", 1)
    monkeypatch.setattr(maintenance, "ROLLED_EVENTS_MAX", 2)
    for number in range(5):
        world.ledger.spend_credits(ACCOUNT, {"id": f"e{number}", "amount": 1})
    maintenance.roll_up_usage(world.app)
    for _ in range(2):
        counted = world.query("select sum(events)::int as n from billing.usage_rollups where grain = 'agent'")
        assert counted[0]["n"] == 5
        maintenance.roll_up_usage(world.app)


def test_prune_goes_on_until_nothing_is_old(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "PRUNED_MAX", 2)
    for number in range(5):
        world.ledger.begin_request("me", f"k{number}", "00000000-0000-0000-0000-000000000001")
        world.ledger.finish_request("me", f"k{number}", 200, {})
    world.query(
        "update billing.idempotent_requests set created_at = now() - interval '8 days', lease_until = now()"
    )
    maintenance.prune(world.app)
    assert world.query("select count(*) as n from billing.idempotent_requests")[0]["n"] == 0
