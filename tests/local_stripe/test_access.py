"""Who may call what, and what does not exist."""

from __future__ import annotations

import pytest
import requests
import stripe

from local.stripe.app import LocalStripe

Client = stripe.StripeClient


def test_unknown_objects_are_404_in_paths_and_400_in_parameters(client: Client) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.retrieve("pi_nope")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create({"amount": 500, "currency": "usd", "customer": "cus_nope"})
    assert (caught.value.http_status, caught.value.param) == (400, "customer")


def test_keys_are_checked(server: LocalStripe) -> None:
    for key in ("sk_live_abc", "nonsense"):
        with pytest.raises(stripe.AuthenticationError):
            stripe.StripeClient(key, base_addresses={"api": server.url}).v1.customers.list()
    with pytest.raises(stripe.PermissionError):
        stripe.StripeClient("pk_test_x", base_addresses={"api": server.url}).v1.customers.list()


def test_a_publishable_key_confirms_with_the_client_secret_only(server: LocalStripe, client: Client) -> None:
    pi = client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
    url = f"{server.url}/v1/payment_intents/{pi.id}/confirm"
    form = {"key": "pk_test_local", "payment_method": "pm_card_visa", "return_url": "http://shop.test"}
    assert requests.post(url, {**form, "client_secret": "wrong"}, timeout=5).status_code == 401
    assert (
        requests.post(url, {**form, "client_secret": pi.client_secret}, timeout=5).json()["status"]
        == "succeeded"
    )


def test_a_publishable_key_reads_with_the_client_secret_and_not_everything(
    server: LocalStripe, client: Client
) -> None:
    customer = client.v1.customers.create({"name": "A"})
    pi = client.v1.payment_intents.create(
        {"amount": 500, "currency": "usd", "customer": customer.id, "metadata": {"inside": "only"}}
    )
    url, key = f"{server.url}/v1/payment_intents/{pi.id}", {"key": "pk_test_local"}
    for secret in ({}, {"client_secret": "wrong"}):
        assert requests.get(url, {**key, **secret}, timeout=5).status_code == 401
    seen = requests.get(url, {**key, "client_secret": pi.client_secret}, timeout=5).json()
    assert (seen["amount"], seen["status"]) == (500, "requires_payment_method")
    assert not {"customer", "metadata", "latest_charge"} & set(seen)


@pytest.mark.parametrize("path", ["/cancel", "", "/capture"])
def test_a_publishable_key_neither_cancels_nor_changes_a_payment(
    server: LocalStripe, client: Client, path: str
) -> None:
    pi = client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
    form = {"key": "pk_test_local", "client_secret": pi.client_secret}
    assert requests.post(f"{server.url}/v1/payment_intents/{pi.id}{path}", form, timeout=5).status_code == 403
    assert client.v1.payment_intents.retrieve(pi.id).status == "requires_payment_method"


def test_a_browser_cannot_say_that_nobody_is_there(server: LocalStripe, client: Client) -> None:
    pi = client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
    form = {"key": "pk_test_local", "client_secret": pi.client_secret, "payment_method": "pm_card_visa"}
    url = f"{server.url}/v1/payment_intents/{pi.id}/confirm"
    answer = requests.post(url, {**form, "off_session": "true"}, timeout=5)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "off_session")


def test_stripe_js_is_served_under_the_name_of_its_release(server: LocalStripe) -> None:
    release = stripe.api_version.rpartition(".")[2]
    answer = requests.get(f"{server.url}/{release}/stripe.js", timeout=5)
    assert (answer.status_code, "javascript" in answer.headers["Content-Type"]) == (200, True)


def test_a_call_that_stripe_does_not_have_is_404(server: LocalStripe) -> None:
    answer = requests.get(
        f"{server.url}/v1/nothing", headers={"Authorization": "Bearer sk_test_x"}, timeout=5
    )
    assert answer.status_code == 404


def test_a_call_that_only_real_stripe_has_is_loud() -> None:
    with LocalStripe.start() as server:
        client = stripe.StripeClient("sk_test_x", base_addresses={"api": server.url})
        with pytest.raises(stripe.APIError) as caught:
            client.v1.payment_intents.search({"query": "status:'succeeded'"})
        assert caught.value.http_status == 501
        assert len(server.control.violations()) == 1
