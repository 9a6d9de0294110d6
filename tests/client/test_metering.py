"""@metered: charged when the work succeeds, not when it fails; streams are held while they run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest

from refill import Insufficient, Refill, check_credits_available, consume_credits_for_action, metered
from tests.client.service import Service, run_async
from tests.support import wait_until


def test_a_function_is_charged_when_it_succeeds_and_not_when_it_fails(
    client: Refill, service: Service, account: str
) -> None:
    @metered("research", client=client, fields=lambda topic: {"agent": "scout", "metadata": {"topic": topic}})
    def research(topic: str) -> str:
        """Looks it up."""
        if not topic:
            raise ValueError(topic)
        return topic.upper()

    assert (research("tides"), research.__name__, research.__doc__) == ("TIDES", "research", "Looks it up.")
    with pytest.raises(ValueError, match=r"^$"):
        research("")
    assert (service.charged(account), service.held(account)) == (Decimal(5), Decimal(0))
    rows = service.query("select agent, metadata from billing.credit_usage where account_id = %s", account)
    assert rows == [{"agent": "scout", "metadata": {"topic": "tides"}}]


def test_the_cost_comes_from_the_result(client: Refill, service: Service, account: str) -> None:
    @metered(
        amount="20", client=client, cost=lambda result: {"action": "tool_call", "quantity": result["calls"]}
    )
    def answer() -> dict[str, int]:
        return {"calls": 4}

    answer()
    assert service.charged(account) == Decimal(2)


def test_without_credits_the_function_does_not_run(client: Refill, service: Service, account: str) -> None:
    ran = []

    @metered("image", quantity=900, client=client)
    def draw() -> None:
        ran.append(True)

    with pytest.raises(Insufficient):
        draw()
    assert ran == []


def test_a_stream_is_charged_when_it_ends_and_held_while_it_runs(
    client: Refill, service: Service, account: str
) -> None:
    @metered("message", client=client, expires_in=2)
    def words(text: str) -> Iterator[str]:
        yield from text.split()

    stream = words("one two three")
    assert service.held(account) == 0, "nothing before it is read"
    assert next(stream) == "one"
    assert (service.held(account), service.charged(account)) == (Decimal(1), Decimal(0))
    open_until = "select expires_at from billing.credit_holds where account_id = %s"
    first = service.query(open_until, account)
    wait_until(lambda: service.query(open_until, account) != first, 5, "a heartbeat")
    assert list(stream) == ["two", "three"]
    assert (service.held(account), service.charged(account)) == (Decimal(0), Decimal(1))


def test_a_stream_whose_consumer_stops_early_is_charged(
    client: Refill, service: Service, account: str
) -> None:
    closed = []

    @metered("message", client=client)
    def words() -> Iterator[str]:
        try:
            yield "one"
            yield "two"
        finally:
            closed.append(True)

    stream: Any = words()
    next(stream)
    stream.close()
    assert closed == [True]
    assert service.charged(account) == Decimal(1)


def test_a_stream_that_fails_or_yields_nothing_is_not_charged(
    client: Refill, service: Service, account: str
) -> None:
    @metered("message", client=client)
    def broken() -> Iterator[str]:
        yield "one"
        raise LookupError

    with pytest.raises(LookupError):
        list(broken())
    assert (service.charged(account), service.held(account)) == (Decimal(0), Decimal(0))


def test_a_stream_is_charged_by_its_last_item(client: Refill, service: Service, account: str) -> None:
    @metered(amount="10", client=client, cost=lambda last: {"action": "tool_call", "quantity": last["calls"]})
    def chunks() -> Iterator[Any]:
        yield "text"
        yield {"calls": 3}

    assert len(list(chunks())) == 2
    assert service.charged(account) == Decimal("1.5")


def test_coroutines_and_async_streams(service: Service, account: str) -> None:
    async def work() -> None:
        async with service.async_client(account) as client:

            @metered("research", client=client)
            async def research() -> str:
                await asyncio.sleep(0)
                return "done"

            @metered("message", client=client)
            async def words() -> AsyncIterator[str]:
                for word in ("one", "two"):
                    yield word

            @metered("message", client=client)
            async def broken() -> AsyncIterator[str]:
                yield "one"
                raise LookupError

            assert await research() == "done"
            assert [word async for word in words()] == ["one", "two"]
            early: Any = words()
            await anext(early)
            await early.aclose()
            with pytest.raises(LookupError):
                [word async for word in broken()]
            assert await check_credits_available(client, "message")
            assert (await consume_credits_for_action(client, "message")).credits == Decimal(1)

    run_async(work())
    assert (service.charged(account), service.held(account)) == (Decimal(8), Decimal(0))


def test_a_function_needs_the_blocking_client(service: Service, account: str) -> None:
    client = service.async_client(account)

    @metered("message", client=client)
    def work() -> None: ...

    with pytest.raises(TypeError, match="AsyncRefill"):
        work()
    run_async(client.close())


def test_check_and_consume(client: Refill, service: Service, account: str) -> None:
    assert check_credits_available(client, "message")
    assert not check_credits_available(client, "image", 900)
    assert consume_credits_for_action(client, "message", 3, agent="scout").credits == Decimal(3)
    assert service.charged(account) == Decimal(3)
