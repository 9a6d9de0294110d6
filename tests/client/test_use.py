"""Spending: once for the id, retried while the service is away, refused with what the user needs to know."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from refill import Conflict, Insufficient, Open, Policy, Recording, Refill, Refused, Unavailable
from refill.errors import refusal
from tests.client.service import GRANTED, IMPATIENT, Service, Slow
from tests.support import free_port, wait_until


def test_a_spend_is_charged_in_exact_credits(client: Refill, service: Service, account: str) -> None:
    spend = client.use("tool_call", quantity=3, agent="researcher", id="one")
    assert (spend.id, spend.credits, spend.available) == ("one", Decimal("1.5"), GRANTED - Decimal("1.5"))
    assert client.use("tool_call", quantity=3, agent="researcher", id="one") == spend
    assert service.booked(account) == ["one"]


def test_a_refusal_says_what_the_user_needs_to_know(client: Refill, service: Service, account: str) -> None:
    with pytest.raises(Insufficient) as caught:
        client.use("image", quantity=900)
    error = caught.value
    assert (error.code, error.status, error.needed, error.available) == (
        "insufficient_credits", 402, Decimal(3600), GRANTED,
    )  # fmt: skip
    assert error.purchase_url
    assert error.purchase_url in error.message
    assert "3600" in error.message
    assert service.booked(account) == []


def test_refusals_are_not_retried_and_have_a_class_of_their_own(client: Refill) -> None:
    client.use("message", id="same")
    with pytest.raises(Conflict) as conflict:
        client.use("message", quantity=2, id="same")
    assert conflict.value.code == "idempotency_conflict"
    with pytest.raises(Refused) as unknown:
        client.use("levitation")
    assert (unknown.value.code, unknown.value.status) == ("unknown_action", 422)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"code": "limit_reached", "binding": "member", "needed": "5", "available": "2", "resets_at": "2026-12-01"},
         "your own limit. This needs 5 credits; 2 are left. It starts anew at 2026-12-01."),
        ({"code": "limit_reached", "binding": "run", "needed": "5", "available": "0"}, "the budget of this run"),
        ({"code": "insufficient_credits", "topup": "in_flight"}, "try again in a moment"),
        ({"code": "account_paused"}, "This account is paused"),
    ],
)  # fmt: skip
def test_messages_are_fit_for_the_end_user(facts: dict[str, str], words: str) -> None:
    error = refusal(402, facts)
    assert isinstance(error, Insufficient)
    assert words in error.message


def test_credits_are_never_floats(client: Refill) -> None:
    with pytest.raises(TypeError, match="not float"):
        client.use(amount=0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="six decimals"):
        client.use(amount="0.0000001")


def test_a_spend_waits_for_a_service_that_was_killed(client: Refill, service: Service, account: str) -> None:
    client.use("message")
    service.kill()
    spends: list[Decimal] = []
    thread = threading.Thread(target=lambda: spends.append(client.use("message", id="waited").credits))
    thread.start()
    service.start()
    thread.join(30)
    assert spends == [Decimal(1)]
    assert service.booked(account).count("waited") == 1


def test_an_answer_that_comes_too_late_is_asked_for_again_and_charged_once(
    service: Service, account: str
) -> None:
    slow = Slow(service.stack.port)
    policy = Policy(timeout=0.5, deadline=20, first_wait=0.02)
    with service.client(account, url=slow.url, policy=policy) as client:
        slow.lose = 2
        assert client.use("message", id="slow").credits == Decimal(1)
    assert slow.lost == 2
    assert service.booked(account) == ["slow"]
    slow.close()


def test_closed_raises_unavailable_within_the_deadline(service: Service, account: str) -> None:
    with (
        service.client(account, url=f"http://127.0.0.1:{free_port()}", policy=IMPATIENT) as client,
        pytest.raises(Unavailable) as caught,
    ):
        client.use("message")
    assert not caught.value.reached


def test_open_lets_through_up_to_its_limit_and_books_it_later(
    service: Service, account: str, tmp_path: Path
) -> None:
    fail = Open(limit="3", wait=0.3, again=0.1)
    with service.client(account, fail=fail, spool=tmp_path, policy=IMPATIENT) as client:
        client.use("message", id="before")
        service.kill()
        passed = [client.use("message", id=f"away-{n}") for n in range(3)]
        assert all(spend.recorded and spend.credits == Decimal(1) for spend in passed)
        with pytest.raises(Unavailable, match="limit"):
            client.use("message", id="too-much")
        service.start()
        wait_until(lambda: not client.waiting(), 20, "the spool to drain")
        assert service.booked(account) == ["before", "away-0", "away-1", "away-2"]
        service.kill()
        assert client.use("message", id="again").recorded, "the float is given back"
        service.start()
        client.flush()
    assert service.charged(account) == Decimal(5)


def test_open_books_a_spend_once_whose_answer_was_lost(
    service: Service, account: str, tmp_path: Path
) -> None:
    slow = Slow(service.stack.port)
    fail = Open(limit="10", wait=0.5, again=0.1)
    rejected: list[object] = []
    recording = Recording(on_rejected=lambda event, code: rejected.append((event, code)))
    options: dict[str, Any] = {"fail": fail, "spool": tmp_path, "recording": recording, "policy": IMPATIENT}
    with service.client(account, url=slow.url, **options) as client:
        client.use("message", id="learns-the-price")
        slow.lose = 1
        assert client.use("message", id="lost", metadata={"step": 1}).recorded
        client.flush()
    slow.close()
    assert service.booked(account) == ["learns-the-price", "lost"]
    assert rejected == [], "it is the same event, not another one of that id"


def test_open_does_not_let_through_what_has_no_known_price(service: Service, account: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with (
        service.client(account, url=url, fail=Open(limit="3", wait=0.1), policy=IMPATIENT) as client,
        pytest.raises(Unavailable, match="price"),
    ):
        client.use("message")
