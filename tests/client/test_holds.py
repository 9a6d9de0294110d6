"""Holds and runs: settled on success, released on error, extended while they run, never lost when they come late."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from refill import Insufficient, Open, Policy, Refill, Unavailable
from tests.client.service import GRANTED, IMPATIENT, Service, Slow, run_async
from tests.support import wait_until


def test_a_hold_settles_by_what_it_was_placed_for(client: Refill, service: Service, account: str) -> None:
    with client.hold("research", agent="scout") as hold:
        assert service.held(account) == Decimal(5)
    assert hold.state
    assert (hold.state.state, hold.state.settled) == ("settled", Decimal(5))
    assert (service.held(account), service.charged(account)) == (Decimal(0), Decimal(5))


def test_an_error_releases_the_hold_and_is_raised_again(
    client: Refill, service: Service, account: str
) -> None:
    with pytest.raises(LookupError, match="nothing found"), client.hold("research") as hold:
        raise LookupError("nothing found")
    assert service.hold(account, hold.id)["state"] == "released"
    assert (service.held(account), service.charged(account)) == (Decimal(0), Decimal(0))


def test_a_hold_settles_by_the_reported_cost(client: Refill, service: Service, account: str) -> None:
    with client.hold(amount="50") as hold:
        hold.cost({"action": "tool_call", "quantity": 3})
        hold.cost([{"action": "message"}])
    assert service.charged(account) == Decimal("2.5")
    assert service.held(account) == 0


def test_a_hold_may_be_drawn_from_and_returns_the_rest(
    client: Refill, service: Service, account: str
) -> None:
    with client.hold(amount="50") as hold:
        hold.draw("10", id="first")
        hold.draw("10", id="first")
        hold.draw(usage={"action": "tool_call"})
        assert hold.left == Decimal("39.5")
    assert service.charged(account) == Decimal("10.5")
    assert service.held(account) == 0


def test_more_than_was_held_is_charged(client: Refill, service: Service, account: str) -> None:
    with client.hold("message") as hold:
        hold.settle("7")
    assert service.charged(account) == Decimal(7)


def test_an_id_may_hold_any_character(client: Refill, service: Service, account: str) -> None:
    with client.hold("message", id="run/42 ?#ä%"):
        pass
    assert service.hold(account, "run/42 ?#ä%")["state"] == "settled"


def test_a_hold_that_is_refused_does_not_run_its_block(
    client: Refill, service: Service, account: str
) -> None:
    ran = []
    with pytest.raises(Insufficient), client.hold(amount=GRANTED + 1):
        ran.append(True)
    assert ran == []
    assert service.held(account) == 0


def test_the_heartbeat_keeps_long_work_held(client: Refill, service: Service, account: str) -> None:
    with client.hold("message", expires_in=2) as hold:
        first = service.hold(account, hold.id)["expires_at"]
        wait_until(lambda: service.hold(account, hold.id)["expires_at"] > first, 5, "a heartbeat")
        second = service.hold(account, hold.id)["expires_at"]
        wait_until(lambda: service.hold(account, hold.id)["expires_at"] > second, 5, "another one")
    assert service.hold(account, hold.id)["state"] == "settled"


def test_a_late_settlement_becomes_usage(client: Refill, service: Service, account: str) -> None:
    with client.hold("research", agent="scout", run_id="r-1") as hold:
        service.api(account).post(f"/api/credits/holds/{hold.id}/release")
    assert hold.late
    client.flush()
    assert service.booked(account) == [f"{hold.id}:late"]
    assert service.charged(account) == Decimal(5)
    row = service.query("select agent, run_id from billing.credit_usage where account_id = %s", account)
    assert row == [{"agent": "scout", "run_id": "r-1"}]


def test_a_late_settlement_by_usage_keeps_each_item(client: Refill, service: Service, account: str) -> None:
    with client.hold(amount="20") as hold:
        service.api(account).post(f"/api/credits/holds/{hold.id}/release")
        hold.settle(usage=[{"action": "message"}, {"amount": "2.5"}])
    client.flush()
    assert service.booked(account) == [f"{hold.id}:late", f"{hold.id}:late:1"]
    assert service.charged(account) == Decimal("3.5")


def test_a_settlement_that_cannot_reach_the_service_is_replayed(
    service: Service, account: str, tmp_path: Path
) -> None:
    with service.client(account, spool=tmp_path, policy=IMPATIENT) as client:
        with client.hold("research") as hold:
            service.kill()
        assert hold.pending
        service.start()
        client.flush()
    assert service.hold(account, hold.id)["state"] == "settled"
    assert service.charged(account) == Decimal(5)


def test_a_replayed_settlement_of_a_released_hold_becomes_usage(
    service: Service, account: str, tmp_path: Path
) -> None:
    with service.client(account, spool=tmp_path, policy=IMPATIENT) as client:
        with client.hold("research") as hold:
            service.kill()
        service.query("select billing.release_hold(%s, %s)", account, hold.id)
        service.start()
        client.flush()
    assert service.booked(account) == [f"{hold.id}:late"]


def test_a_settlement_waits_for_a_key_that_is_valid(service: Service, account: str, tmp_path: Path) -> None:
    with service.client(account, spool=tmp_path, policy=IMPATIENT) as client:
        with client.hold("research"):
            service.kill()
        client.close(0.1)
    service.start()
    right, service.key = service.key, "rk_of_nobody"
    wrong = service.client(account, spool=tmp_path)
    service.key = right
    with pytest.raises(Unavailable):
        wrong.flush(0.5)
    wrong.close(0.1)
    with service.client(account, spool=tmp_path) as client:
        client.flush()
    assert service.charged(account) == Decimal(5)


def test_a_settlement_whose_answer_was_lost_is_charged_once(service: Service, account: str) -> None:
    slow = Slow(service.stack.port)
    policy = Policy(timeout=0.5, deadline=20, first_wait=0.02)
    with service.client(account, url=slow.url, policy=policy) as client, client.hold("research"):
        slow.lose = 1
    slow.close()
    assert service.charged(account) == Decimal(5)


def test_fail_open_lets_a_priced_hold_through_and_books_it_later(
    service: Service, account: str, tmp_path: Path
) -> None:
    fail = Open(limit="8", wait=0.5, again=0.1)
    with service.client(account, fail=fail, spool=tmp_path, policy=IMPATIENT) as client:
        client.use("message")
        service.kill()
        with client.hold("research") as hold:
            assert hold.state is None
        with pytest.raises(Unavailable), client.hold("research"):
            raise AssertionError("past the limit")
        service.start()
        client.flush()
    assert service.booked(account)[1:] == [hold.id]
    assert service.charged(account) == Decimal(6)


def test_a_run_spends_from_its_budget_and_returns_the_rest(
    client: Refill, service: Service, account: str
) -> None:
    with client.budget("3", run_id="r-9", agent="planner") as run:
        assert service.held(account) == Decimal(3)
        run.use("message", id="step-1")
        with run.budget("1") as child:
            child.use("tool_call")
            with pytest.raises(Insufficient) as caught:
                child.use("message")
        with pytest.raises(Insufficient), run.hold("research"):
            raise AssertionError("past the budget")
    assert (caught.value.code, caught.value.binding, caught.value.hold_id) == (
        "limit_reached",
        "run",
        child.id,
    )
    assert "budget of this run" in caught.value.message
    assert service.charged(account) == Decimal("1.5")
    assert service.held(account) == 0
    assert service.violations() == []


def test_a_run_that_fails_returns_the_rest_too(client: Refill, service: Service, account: str) -> None:
    with pytest.raises(Insufficient), client.budget("3") as run:  # noqa: PT012 - it is the block that fails
        run.use("message")
        run.use("image")
    assert (service.charged(account), service.held(account)) == (Decimal(1), Decimal(0))


def test_the_client_for_asyncio_does_the_same(service: Service, account: str) -> None:
    async def work() -> None:
        async with service.async_client(account) as client:
            assert (await client.use("message")).credits == Decimal(1)
            async with client.hold("research", expires_in=2) as hold:
                first = service.hold(account, hold.id)["expires_at"]
                beaten = lambda: service.hold(account, hold.id)["expires_at"] > first  # noqa: E731
                await asyncio.to_thread(wait_until, beaten, 5)
            with pytest.raises(LookupError):
                async with client.hold("research"):
                    raise LookupError
            async with client.budget("2") as run:
                await run.use("tool_call")
                async with run.hold(amount="1") as drawn:
                    await drawn.draw("0.25")
                with pytest.raises(Insufficient):
                    await run.use("image")
            assert not (await client.quote("image", quantity=900)).sufficient
            client.usage("tool_call")
            await client.flush()

    run_async(work())
    assert service.charged(account) == Decimal("7.25")
    assert service.held(account) == 0
    assert service.violations() == []
