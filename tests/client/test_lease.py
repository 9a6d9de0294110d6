"""Leases: spent in memory, settled in one call a refill, never more than the account has, nothing lost while it is away."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from refill import Insufficient, Lease, Policy, Refill, Unavailable
from tests.client.service import GRANTED, IMPATIENT, Service, Slow, run_async
from tests.support import wait_until


def calls(service: Service, account: str, hold_state: str = "open") -> list[dict[str, Any]]:
    return service.query(
        "select * from billing.credit_holds where account_id = %s and state = %s::billing.hold_state",
        account,
        hold_state,
    )


def draws(service: Service, account: str) -> int:
    found = service.query(
        "select count(*) as n from billing.credit_hold_draws where account_id = %s", account
    )
    return int(found[0]["n"])


def test_a_lease_spends_in_memory_and_charges_at_its_end(
    client: Refill, service: Service, account: str
) -> None:
    with client.lease("20") as lease:
        for _ in range(10):
            lease.spend("tool_call", agent="scout")
        lease.spend("message", 2, run_id="r-1")
        lease.spend(amount="0.25")
        assert lease.left == Decimal("12.75")
        assert (service.charged(account), service.held(account)) == (Decimal(0), Decimal(20))
    assert (service.charged(account), service.held(account)) == (Decimal("7.25"), Decimal(0))
    rows = service.query(
        "select action, quantity, agent, run_id from billing.credit_usage where account_id = %s"
        " order by credits desc", account,
    )  # fmt: skip
    assert [tuple(row.values()) for row in rows] == [
        ("tool_call", 10, "scout", None), ("message", 2, None, "r-1"), (None, 1, None, None),
    ]  # fmt: skip
    assert service.violations() == []


def test_a_lease_is_refilled_in_one_call_before_it_runs_out(
    client: Refill, service: Service, account: str
) -> None:
    with client.lease("10", refill_at=0.5) as lease:
        for _ in range(6):
            lease.spend("message")
        wait_until(lambda: lease.left == Decimal(10), 5, "the refill")
        assert draws(service, account) == 1
        assert (service.charged(account), service.held(account)) == (Decimal(6), Decimal(10))
    assert len(calls(service, account, "released")) == 1, "one hold for all of it"


def test_a_lease_takes_what_there_is_and_ends_at_the_last_credit(
    client: Refill, service: Service, account: str
) -> None:
    spent = 0
    with client.lease("60") as lease:
        with pytest.raises(Insufficient) as caught:  # noqa: PT012 - one of many
            for spent in range(1000):  # noqa: B007 - how many there were
                lease.spend("message")
        assert spent == GRANTED
        assert caught.value.needed == Decimal(1)
        assert caught.value.purchase_url
    assert service.charged(account) == GRANTED
    assert service.held(account) == 0
    assert service.violations() == []


def test_an_account_with_less_than_asked_for_leases_what_it_has(
    client: Refill, service: Service, account: str
) -> None:
    with client.lease("500") as lease:
        assert lease.left == GRANTED
        with pytest.raises(Insufficient):
            lease.spend("image", 26)
        lease.spend("image", 25)
    assert service.charged(account) == GRANTED


def test_dimensions_add_up(client: Refill, service: Service, account: str) -> None:
    card = {
        "action": "llm",
        "model": "m-1",
        "rates": {"input": {"credits": "1", "per": 1000}},
        "account_id": account,
    }
    service.api(account).put("/api/billing/actions", **card)
    with client.lease("20") as lease:
        for tokens in (1000, 500, 1000):
            lease.spend("llm", dimensions={"model": "m-1", "input": tokens})
        assert lease.left == Decimal("17.5")
    rows = service.query(
        "select dimensions, credits from billing.credit_usage where account_id = %s", account
    )
    assert rows == [{"dimensions": {"model": "m-1", "input": 2500}, "credits": 2_500_000}]


def test_threads_share_a_lease_and_pass_nothing(client: Refill, service: Service, account: str) -> None:
    passed: list[int] = []

    def work(lease: Lease) -> None:
        count = 0
        try:
            while True:
                lease.spend(amount="0.01")
                count += 1
        except Insufficient:
            passed.append(count)

    with client.lease("30") as lease:
        threads = [threading.Thread(target=work, args=(lease,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert sum(passed) == 10_000
    assert service.charged(account) == GRANTED
    assert service.violations() == []


def test_a_refill_whose_answer_was_lost_is_charged_once(service: Service, account: str) -> None:
    slow = Slow(service.stack.port)
    policy = Policy(timeout=0.5, deadline=0.5)
    with service.client(account, url=slow.url, policy=policy) as client, client.lease("10") as lease:
        for _ in range(4):
            lease.spend("message")
        slow.lose = 1
        with pytest.raises(Unavailable):
            lease.settle()
        lease.spend("message")
        lease.settle()
    slow.close()
    assert service.charged(account) == Decimal(5)
    assert service.violations() == []


def test_a_lease_outlives_the_service_and_settles_when_it_is_back(
    service: Service, account: str, tmp_path: Path
) -> None:
    with service.client(account, spool=tmp_path, policy=IMPATIENT) as client:
        with client.lease("10") as lease:
            lease.spend("message", 2)
            service.kill()
            with pytest.raises(Unavailable):
                lease.settle()
            for _ in range(8):
                lease.spend("message")
            with pytest.raises(Unavailable):
                lease.spend("message")
        assert client.waiting() == 2, "the draw that was under way, and the rest"
        service.start()
        client.flush()
    assert service.charged(account) == Decimal(10)
    assert service.held(account) == 0


@pytest.mark.parametrize("state", ["released", "expired"])
def test_a_lease_goes_on_with_another_hold_when_its_own_is_closed(
    client: Refill, service: Service, account: str, state: str
) -> None:
    with client.lease("10") as lease:
        lease.spend("message", 4)
        if state == "released":
            service.query("select billing.release_hold(account_id, id) from billing.credit_holds where account_id = %s",
                          account)  # fmt: skip
        else:
            service.query("update billing.credit_holds set expires_at = now() where account_id = %s", account)
            service.query("select billing.expire_holds(10)")
        lease.settle()
        assert lease.left == Decimal(10)
        lease.spend("message")
    client.flush()
    assert service.charged(account) == Decimal(5)
    assert service.held(account) == 0
    assert service.violations() == []


def test_an_idle_lease_settles_and_stays_alive(client: Refill, service: Service, account: str) -> None:
    with client.lease("10", expires_in=3) as lease:
        lease.spend("message")
        wait_until(lambda: service.charged(account) == 1, 5, "the lease to settle by itself")
        first = calls(service, account)[0]["expires_at"]
        wait_until(lambda: calls(service, account)[0]["expires_at"] > first, 5, "a heartbeat")


def test_a_process_that_dies_gives_back_what_it_did_not_settle(
    service: Service, account: str, tmp_path: Path
) -> None:
    code = """
import os, time
from refill import Refill
lease = Refill(account_id=os.environ["ACCOUNT"]).lease("10", expires_in=1, settle_every=60)
lease.__enter__()
lease._beat and lease._client._heart.remove(lease._beat)
lease.spend("message", 3)
print("spent", flush=True)
time.sleep(600)
"""
    log = tmp_path / "log"
    with service.program(code, account, log=log) as process:
        wait_until(lambda: log.exists() and "spent" in log.read_text(), 20)
        os.kill(process.pid, signal.SIGKILL)
    assert service.held(account) == Decimal(10)
    expired: Callable[[], bool] = lambda: bool(  # noqa: E731
        service.query("select billing.expire_holds(10)") and service.held(account) == 0
    )
    wait_until(expired, 10, "the hold to expire")
    assert service.charged(account) == 0


def test_a_lease_for_asyncio(service: Service, account: str) -> None:
    async def work() -> int:
        async with service.async_client(account) as client, client.lease("30") as lease:

            async def spend() -> int:
                count = 0
                try:
                    while True:
                        await lease.spend(amount="0.1")
                        count += 1
                except Insufficient:
                    return count

            return sum(await asyncio.gather(*(spend() for _ in range(5))))

    assert run_async(work()) == 1000
    assert service.charged(account) == GRANTED
    assert service.held(account) == 0
    assert service.violations() == []


def test_a_new_price_is_seen_with_a_refill(service: Service, account: str) -> None:
    now = [1000.0]
    policy = Policy(timeout=2, deadline=5, clock=lambda: now[0])
    with service.client(account, policy=policy) as client, client.lease("20") as lease:
        lease.spend("message")
        service.api(account).put("/api/billing/actions", action="message", credits="2", account_id=account)
        now[0] += 61
        lease.settle()
        left = lease.left
        lease.spend("message")
        assert left - lease.left == Decimal(2)


def test_a_lease_of_a_day_goes_on_with_another_hold(service: Service, account: str) -> None:
    now = [1000.0]
    policy = Policy(timeout=2, deadline=5, clock=lambda: now[0])
    with service.client(account, policy=policy) as client, client.lease("20") as lease:
        lease.spend("message")
        now[0] += 21 * 3600
        lease.settle()
        assert lease.left == Decimal(20)
        assert len(calls(service, account, "settled")) == len(calls(service, account)) == 1
    assert service.charged(account) == Decimal(1)


def test_a_forked_process_leases_for_itself(client: Refill, service: Service, account: str) -> None:
    with client.lease("10") as lease:
        lease.spend("message", 4)
        child = os.fork()
        if child == 0:
            lease.spend("message", 8)
            lease.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        lease.spend("message", 6)
    assert service.charged(account) == Decimal(18)
    assert service.held(account) == 0


def test_what_is_spent_during_a_refill_is_not_spent_again(client: Refill, account: str) -> None:
    with client.lease("10") as lease:
        lease.spend("message", 2)
        refill = lease._book.refill()
        answer = client._transport.perform(next(refill))
        lease.spend("message", 3)
        with pytest.raises(StopIteration):
            refill.send(answer)
        assert lease.left == Decimal(7)


def test_a_refill_that_did_not_arrive_is_made_up_for(service: Service, account: str) -> None:
    with service.client(account, policy=IMPATIENT) as client, client.lease("10") as lease:
        lease.spend("message", 4)
        service.kill()
        with pytest.raises(Unavailable):
            lease.settle()
        service.start()
        lease.settle()
        assert service.charged(account) == Decimal(4)
