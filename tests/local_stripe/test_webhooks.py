"""Events and their deliveries."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
import stripe

from local.stripe.app import LocalStripe
from tests.local_stripe.conftest import SECRET, Endpoint, wait_until

Client = stripe.StripeClient


def test_deliveries_verify_with_the_sdk_and_name_the_causing_call(
    charge: Any, card: stripe.PaymentMethod, endpoint: Endpoint, server: LocalStripe
) -> None:
    pi = charge(card, key="topup-1")
    wait_until(lambda: "payment_intent.succeeded" in endpoint.types())
    place = endpoint.types().index("payment_intent.succeeded")
    body, signature = endpoint.raw[place]
    event = stripe.Webhook.construct_event(body, signature, SECRET)
    assert event.data.object.id == pi.id
    assert event.api_version == server.engine.spec.api_version
    assert (event.livemode, event.pending_webhooks) == (False, 1)
    assert event.request.idempotency_key == "topup-1"
    assert event.request.id == pi.last_response.request_id


def test_a_top_up_sends_what_stripe_sends(
    charge: Any, card: stripe.PaymentMethod, endpoint: Endpoint, server: LocalStripe
) -> None:
    server.control.behave(card.id, times=1)
    with pytest.raises(stripe.CardError):
        charge(card)
    charge(card)
    wait_until(lambda: len(endpoint.events) == 8)
    assert sorted(endpoint.types()) == sorted(
        [
            "customer.created",
            "payment_method.attached",
            "payment_intent.created",
            "charge.failed",
            "payment_intent.payment_failed",
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
        ]
    )


def test_an_endpoint_that_fails_gets_the_event_again_newly_signed(
    client: Client, endpoint: Endpoint, server: LocalStripe
) -> None:
    endpoint.statuses = [500, 302, 400]
    client.v1.customers.create({})
    wait_until(lambda: len(endpoint.events) == 4)
    assert len({event["id"] for event in endpoint.events}) == 1
    wait_until(lambda: server.control.deliveries()[0]["state"] == "delivered")
    assert server.control.deliveries()[0]["attempts"] == 4
    wait_until(server.control.idle)
    assert client.v1.events.list({"delivery_success": False}).data == []


def test_a_changed_secret_signs_the_next_delivery(
    client: Client, endpoint: Endpoint, server: LocalStripe
) -> None:
    server.control.set_webhook(secret="whsec_rolled")
    client.v1.customers.create({})
    wait_until(lambda: endpoint.rejected)
    endpoint.secret = "whsec_rolled"
    wait_until(lambda: endpoint.events)


def test_lost_events_are_still_listed(client: Client, endpoint: Endpoint, server: LocalStripe) -> None:
    server.control.webhooks("lose", type="customer.*", times=1)
    made = client.v1.customers.create({})
    client.v1.products.create({"name": "x"})
    wait_until(lambda: endpoint.types() == ["product.created"])
    listed = client.v1.events.list({"type": "customer.created"}).data
    assert [event.data.object["id"] for event in listed] == [made.id]
    assert client.v1.events.retrieve(listed[0].id).type == "customer.created"
    server.control.resend(listed[0].id)
    wait_until(lambda: "customer.created" in endpoint.types())


def test_held_events_are_released_in_the_order_asked_for(
    client: Client, endpoint: Endpoint, server: LocalStripe
) -> None:
    server.control.webhooks("hold")
    for name in "abc":
        client.v1.customers.create({"name": name})
    assert server.control.idle()
    assert endpoint.events == []
    assert server.control.release("reversed") == 3
    wait_until(lambda: len(endpoint.events) == 3)
    assert [event["data"]["object"]["name"] for event in endpoint.events] == ["c", "b", "a"]


def test_events_are_duplicated_and_delayed_on_demand(
    client: Client, endpoint: Endpoint, server: LocalStripe
) -> None:
    server.control.webhooks("duplicate", times=1)
    client.v1.customers.create({})
    wait_until(lambda: len(endpoint.events) == 2)
    assert endpoint.events[0]["id"] == endpoint.events[1]["id"]
    server.control.webhooks("delay", times=1, seconds=30)
    client.v1.customers.create({})
    assert not server.control.idle()
    server.control.retry_now()
    wait_until(lambda: len(endpoint.events) == 3)


def test_any_event_can_be_fabricated(endpoint: Endpoint, server: LocalStripe) -> None:
    server.control.emit("planet.aligned", {"id": "pl_1", "object": "planet"})
    wait_until(lambda: endpoint.types() == ["planet.aligned"])


def test_a_payment_from_the_dashboard_has_no_metadata_and_no_request(
    customer: stripe.Customer, endpoint: Endpoint, server: LocalStripe
) -> None:
    pi = server.control.pay_from_dashboard(customer.id, 700)
    assert (pi["status"], pi["metadata"]) == ("succeeded", {})
    event = wait_until(
        lambda: next((e for e in endpoint.events if e["type"] == "payment_intent.succeeded"), None)
    )
    assert event["request"] == {"id": None, "idempotency_key": None}


def test_updates_carry_the_previous_attributes(
    client: Client, customer: stripe.Customer, endpoint: Endpoint
) -> None:
    client.v1.customers.update(customer.id, {"name": "Ada", "metadata": {"a": "1"}})
    event = wait_until(lambda: next((e for e in endpoint.events if e["type"] == "customer.updated"), None))
    assert event["data"]["previous_attributes"]["name"] is None


def test_there_is_no_event_for_a_new_payment_method(client: Client) -> None:
    client.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    assert client.v1.events.list().data == []


def test_several_types_can_be_listed(
    client: Client, customer: stripe.Customer, card: stripe.PaymentMethod
) -> None:
    found = client.v1.events.list(
        {"types": ["customer.created", "payment_method.attached"], "created": {"gte": 1}}
    )
    assert [event.type for event in found.data] == ["payment_method.attached", "customer.created"]


def test_the_clock_can_be_moved(client: Client, server: LocalStripe) -> None:
    server.control.advance(86400)
    assert client.v1.customers.create({}).created > time.time() + 86000


def test_state_and_undelivered_events_survive_a_restart(endpoint: Endpoint, tmp_path: Any) -> None:
    settings: dict[str, Any] = {"state": str(tmp_path / "stripe.db"), "webhook_secret": SECRET}
    with LocalStripe.start(
        webhook_url="http://127.0.0.1:9/nobody", retry_delays=(30.0,), **settings
    ) as first:
        client = stripe.StripeClient("sk_test_x", base_addresses={"api": first.url})
        made = client.v1.customers.create({}, {"idempotency_key": "k"})
        wait_until(lambda: first.control.deliveries()[0]["attempts"] == 1)
    with LocalStripe.start(webhook_url=endpoint.url, retry_delays=(0.05,), **settings) as second:
        client = stripe.StripeClient("sk_test_x", base_addresses={"api": second.url})
        assert client.v1.customers.create({}, {"idempotency_key": "k"}).id == made.id
        second.control.retry_now()
        wait_until(lambda: endpoint.types() == ["customer.created"])


def test_the_http_control_does_what_the_python_control_does(
    server: LocalStripe, charge: Any, card: stripe.PaymentMethod, customer: stripe.Customer, client: Client
) -> None:
    local = f"{server.url}/_local"
    requests.post(
        f"{local}/behave", json={"id": card.id, "decline_code": "stolen_card", "times": 1}, timeout=5
    )
    with pytest.raises(stripe.CardError):
        charge(card)
    assert requests.get(f"{local}/charges?customer={customer.id}", timeout=5).json()["failed"] == 1
    assert requests.get(f"{local}/violations", timeout=5).json() == []
    paths = [call["path"] for call in requests.get(f"{local}/requests?method=POST", timeout=5).json()]
    assert paths[-1] == "/v1/payment_intents"
    assert requests.get(f"{local}/reset", timeout=5).status_code == 404
    assert requests.post(f"{local}/_do", timeout=5).status_code == 404
    assert requests.post(f"{local}/advance", json={"hours": 1}, timeout=5).status_code == 400
    requests.post(f"{local}/reset", timeout=5)
    assert client.v1.customers.list().data == []
