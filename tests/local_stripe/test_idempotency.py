"""Idempotency keys, concurrency and faults."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import stripe

from local.stripe.app import LocalStripe
from tests.local_stripe.conftest import wait_until

Client = stripe.StripeClient


def test_the_first_answer_is_replayed(charge: Any, card: stripe.PaymentMethod, server: LocalStripe) -> None:
    first, second = charge(card, key="k"), charge(card, key="k")
    assert first.id == second.id
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    assert second.last_response.request_id == first.last_response.request_id
    assert server.control.charges()["succeeded"] == 1


def test_a_decline_is_replayed_even_when_the_card_is_good_again(
    charge: Any, card: stripe.PaymentMethod, server: LocalStripe
) -> None:
    server.control.behave(card.id, times=1)
    ids = set()
    for _ in range(2):
        with pytest.raises(stripe.CardError) as caught:
            charge(card, key="k")
        ids.add(caught.value.error.payment_intent.id)
    assert len(ids) == 1
    assert server.control.charges()["failed"] == 1


def test_other_parameters_under_the_same_key_are_refused(charge: Any, card: stripe.PaymentMethod) -> None:
    charge(card, 500, key="k")
    with pytest.raises(stripe.IdempotencyError) as caught:
        charge(card, 600, key="k")
    assert caught.value.http_status == 400


def test_a_validation_failure_is_not_saved(charge: Any, card: stripe.PaymentMethod) -> None:
    for bad in ({"amount": 0}, {"surprise": 1}):
        with pytest.raises(stripe.InvalidRequestError):
            charge(card, key="k", **bad)
    assert charge(card, 500, key="k").status == "succeeded"


def test_a_pruned_key_executes_again(charge: Any, card: stripe.PaymentMethod, server: LocalStripe) -> None:
    first = charge(card, key="k")
    assert server.control.prune_keys("k") == 1
    assert charge(card, key="k").id != first.id
    assert server.control.charges()["succeeded"] == 2


def test_a_key_in_flight_is_a_conflict(charge: Any, card: stripe.PaymentMethod, server: LocalStripe) -> None:
    server.control.slow("/v1/payment_intents", 0.3, method="post")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(charge, card, 500, "k")
        wait_until(lambda: server.control.requests("POST", "/v1/payment_intents"))
        with pytest.raises(stripe.APIError) as caught:
            charge(card, 500, "k")
        assert (caught.value.http_status, caught.value.error.code) == (409, "idempotency_key_in_use")
        assert first.result().status == "succeeded"
    assert charge(card, 500, "k").id == first.result().id


def test_twenty_parallel_calls_under_one_key_charge_once(
    server: LocalStripe, charge: Any, card: stripe.PaymentMethod
) -> None:
    conflicts: list[int | None] = []

    def attempt(_: int) -> str | None:
        try:
            return str(charge(card, 500, "k").id)
        except stripe.APIError as error:
            conflicts.append(error.http_status)
            return None

    with ThreadPoolExecutor(20) as pool:
        ids = set(pool.map(attempt, range(20))) - {None}
    assert len(ids) == 1
    assert set(conflicts) <= {409}
    assert server.control.charges()["succeeded"] == 1


def test_parallel_work_on_one_object_is_a_lock_timeout(client: Client, server: LocalStripe) -> None:
    pi = client.v1.payment_intents.create(
        {"amount": 500, "currency": "usd", "payment_method": "pm_card_visa"}
    )
    path = f"/v1/payment_intents/{pi.id}/confirm"
    server.control.slow(path, 0.7)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.v1.payment_intents.confirm, pi.id, {"off_session": True})
        wait_until(lambda: server.control.requests("POST", path))
        with pytest.raises(stripe.RateLimitError) as caught:
            client.v1.payment_intents.confirm(pi.id, {"off_session": True})
        assert caught.value.error.code == "lock_timeout"
        assert caught.value.error.type == "invalid_request_error"
        assert first.result().status == "succeeded"
    assert server.control.charges()["succeeded"] == 1


def test_a_500_before_execution_does_nothing_and_is_not_saved(
    charge: Any, card: stripe.PaymentMethod, server: LocalStripe
) -> None:
    server.control.fail(kind=500, path="/v1/payment_intents")
    with pytest.raises(stripe.APIError):
        charge(card, key="k")
    assert server.control.charges()["succeeded"] == 0
    assert charge(card, key="k").status == "succeeded"


def test_a_500_after_execution_is_replayed_although_the_money_moved(
    charge: Any, card: stripe.PaymentMethod, server: LocalStripe, client: Client
) -> None:
    server.control.fail(kind=500, path="/v1/payment_intents", stage="after")
    for _ in range(2):
        with pytest.raises(stripe.APIError) as caught:
            charge(card, key="k")
        assert caught.value.http_status == 500
    assert server.control.charges()["succeeded"] == 1
    assert client.v1.payment_intents.list().data[0].status == "succeeded"


@pytest.mark.parametrize("kind", ["cut", "timeout"])
def test_a_lost_answer_is_found_again_by_its_key(
    charge: Any, card: stripe.PaymentMethod, server: LocalStripe, kind: str
) -> None:
    server.control.fail(kind=kind, path="/v1/payment_intents", stage="after", seconds=0.1)
    with pytest.raises(stripe.APIConnectionError):
        charge(card, key="k")
    assert server.control.requests(path="/v1/payment_intents")[-1]["status"] is None
    assert charge(card, key="k").last_response.headers["Idempotent-Replayed"] == "true"
    assert server.control.charges()["succeeded"] == 1


def test_a_cut_before_execution_does_nothing(
    charge: Any, card: stripe.PaymentMethod, server: LocalStripe
) -> None:
    server.control.fail(kind="cut", path="/v1/payment_intents")
    with pytest.raises(stripe.APIConnectionError):
        charge(card, key="k")
    assert server.control.charges()["succeeded"] == 0


@pytest.mark.parametrize(("kind", "status", "code"), [("lock_timeout", 429, "lock_timeout"),
    ("conflict", 409, "idempotency_key_in_use")])  # fmt: skip
def test_refusals_on_demand_are_not_saved(
    charge: Any, card: stripe.PaymentMethod, server: LocalStripe, kind: str, status: int, code: str
) -> None:
    server.control.fail(kind=kind, path="/v1/payment_intents", times=2)
    for _ in range(2):
        with pytest.raises(stripe.StripeError) as caught:
            charge(card, key="k")
        assert (caught.value.http_status, caught.value.error.code) == (status, code)
    assert charge(card, key="k").status == "succeeded"


def test_the_sdk_retries_a_failed_call_with_the_same_key(
    server: LocalStripe, customer: stripe.Customer
) -> None:
    client = stripe.StripeClient("sk_test_x", base_addresses={"api": server.url}, max_network_retries=2)
    server.control.fail(kind=503, path="/v1/customers")
    client.v1.customers.create({"email": "b@example.com"})
    calls = server.control.requests("POST", "/v1/customers")[-2:]
    assert [call["status"] for call in calls] == [503, 200]
    assert calls[0]["idempotency_key"] == calls[1]["idempotency_key"]
    assert calls[0]["params"] == {"email": "b@example.com"}


def test_latency_does_not_hold_up_other_requests(
    server: LocalStripe, client: Client, customer: stripe.Customer
) -> None:
    server.control.slow("/v1/refunds", 0.5)
    slow = threading.Thread(target=client.v1.refunds.list)
    slow.start()
    wait_until(lambda: server.control.requests(path="/v1/refunds"))
    start = time.monotonic()
    client.v1.customers.retrieve(customer.id)
    assert time.monotonic() - start < 0.3
    slow.join()


def test_three_hundred_calls_a_second(server: LocalStripe, client: Client, customer: stripe.Customer) -> None:
    """A floor far below what the server does alone; client and server share this process."""
    start = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client.v1.customers.retrieve(customer.id), range(200)))
    assert time.monotonic() - start < 4


def test_a_wrong_fault_is_refused_by_the_control(server: LocalStripe) -> None:
    answer = requests.post(f"{server.url}/_local/fail", json={"kind": "explode"}, timeout=5)
    assert answer.status_code == 400
    assert "kind must be" in answer.json()["error"]["message"]
