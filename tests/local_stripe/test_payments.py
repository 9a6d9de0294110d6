"""PaymentIntents, cards and SetupIntents, through the real SDK."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import stripe

from local.stripe.app import LocalStripe

Client = stripe.StripeClient
NO_REDIRECTS = {"enabled": True, "allow_redirects": "never"}


def attach(client: Client, customer: stripe.Customer, name: str) -> stripe.PaymentMethod:
    return client.v1.payment_methods.attach(name, {"customer": customer.id})


def test_an_off_session_charge_succeeds_with_everything_a_receipt_needs(
    charge: Any, card: stripe.PaymentMethod
) -> None:
    pi = charge(card, 500, metadata={"topup_id": "t1"})
    assert (pi.status, pi.amount_received, pi.metadata["topup_id"]) == ("succeeded", 500, "t1")
    paid = pi.latest_charge
    assert paid.payment_method_details.card.last4 == "4242"
    assert paid.payment_method_details.card.brand == "visa"
    assert paid.metadata["topup_id"] == "t1"
    assert requests.get(paid.receipt_url, timeout=5).status_code == 200


def test_a_decline_carries_the_whole_payment_intent(
    client: Client, customer: stripe.Customer, charge: Any, server: LocalStripe
) -> None:
    card = attach(client, customer, "pm_card_chargeCustomerFail")
    with pytest.raises(stripe.CardError) as caught:
        charge(card)
    error = caught.value.error
    assert (caught.value.http_status, error.code, error.decline_code) == (
        402,
        "card_declined",
        "generic_decline",
    )
    pi = error.payment_intent
    assert (pi.status, pi.payment_method) == ("requires_payment_method", None)
    assert pi.last_payment_error.code == error.code
    assert pi.latest_charge == error.charge
    assert error.payment_method.id == card.id
    assert client.v1.payment_intents.retrieve(pi.id).status == "requires_payment_method"
    assert client.v1.charges.retrieve(error.charge).status == "failed"
    assert server.control.charges(customer.id)["succeeded"] == 0


def test_authentication_off_session_is_a_402_and_not_requires_action(
    client: Client, customer: stripe.Customer, charge: Any
) -> None:
    card = attach(client, customer, "pm_card_authenticationRequired")
    with pytest.raises(stripe.CardError) as caught:
        charge(card)
    error = caught.value.error
    assert (error.code, error.decline_code) == ("authentication_required", "authentication_required")
    assert error.payment_intent.status == "requires_payment_method"


def test_error_on_requires_action_is_its_own_decline_code(
    client: Client, customer: stripe.Customer, charge: Any
) -> None:
    card = attach(client, customer, "pm_card_authenticationRequired")
    with pytest.raises(stripe.CardError) as caught:
        charge(card, off_session=False, error_on_requires_action=True, automatic_payment_methods=NO_REDIRECTS)
    assert caught.value.error.decline_code == "authentication_not_handled"


def test_a_failed_payment_is_recovered_on_session(
    client: Client, customer: stripe.Customer, charge: Any, server: LocalStripe
) -> None:
    card = attach(client, customer, "pm_card_authenticationRequired")
    with pytest.raises(stripe.CardError) as caught:
        charge(card)
    id = caught.value.error.payment_intent.id
    pi = client.v1.payment_intents.confirm(
        id, {"payment_method": card.id, "return_url": "http://shop.test/back?a=1"}
    )
    assert pi.status == "requires_action"
    page = pi.next_action.redirect_to_url.url
    assert "Authorize" in requests.get(page, timeout=5).text
    back = requests.post(page, {"answer": "authorize"}, allow_redirects=False, timeout=5)
    assert back.headers["Location"].startswith(f"http://shop.test/back?a=1&payment_intent={id}")
    assert back.headers["Location"].endswith("redirect_status=succeeded")
    assert client.v1.payment_intents.retrieve(id).status == "succeeded"
    assert server.control.charges(customer.id)["succeeded"] == 1


def test_refused_authentication_leaves_the_payment_open(
    client: Client, customer: stripe.Customer, server: LocalStripe
) -> None:
    card = attach(client, customer, "pm_card_authenticationRequired")
    pi = client.v1.payment_intents.create(
        {
            "amount": 500,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": card.id,
            "confirm": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
    )
    assert pi.status == "requires_action"
    after = server.control.authenticate(pi.id, succeed=False)
    assert after["last_payment_error"]["code"] == "payment_intent_authentication_failure"
    assert after["status"] == "requires_payment_method"


def test_a_card_set_up_on_session_pays_off_session_afterwards(
    client: Client, customer: stripe.Customer, charge: Any, server: LocalStripe
) -> None:
    method = client.v1.payment_methods.create(
        {
            "type": "card",
            "card": {"number": "4000002500003155", "exp_month": 12, "exp_year": 2040, "cvc": "123"},
        }
    )
    intent = client.v1.setup_intents.create(
        {
            "customer": customer.id,
            "payment_method": method.id,
            "confirm": True,
            "return_url": "http://shop.test",
        }
    )
    assert intent.status == "requires_action"
    server.control.authenticate(intent.id)
    assert client.v1.setup_intents.retrieve(intent.id).status == "succeeded"
    assert charge(method).status == "succeeded"


def test_the_same_card_without_set_up_is_refused_off_session(
    client: Client, customer: stripe.Customer, charge: Any
) -> None:
    card = attach(client, customer, "pm_card_authenticationRequiredOnSetup")
    with pytest.raises(stripe.CardError, match="authentication"):
        charge(card)


def test_some_cards_already_fail_when_attached(client: Client, customer: stripe.Customer) -> None:
    with pytest.raises(stripe.CardError) as caught:
        attach(client, customer, "pm_card_chargeDeclined")
    assert caught.value.http_status == 402
    assert client.v1.customers.payment_methods.list(customer.id).data == []


def test_the_control_decides_how_the_next_charges_end(
    server: LocalStripe, charge: Any, card: stripe.PaymentMethod, customer: stripe.Customer
) -> None:
    server.control.behave(customer.id, decline_code="lost_card", advice_code="do_not_try_again", times=2)
    for _ in range(2):
        with pytest.raises(stripe.CardError) as caught:
            charge(card)
        assert caught.value.error.decline_code == "lost_card"
        assert caught.value.error.advice_code == "do_not_try_again"
    assert charge(card).status == "succeeded"
    assert server.control.charges(customer.id) == {"succeeded": 1, "failed": 2, "amount": 500, "refunded": 0}


@pytest.mark.parametrize(
    ("outcome", "status"), [("succeeded", "succeeded"), ("failed", "requires_payment_method")]
)
def test_a_processing_payment_ends_when_told(
    server: LocalStripe, client: Client, charge: Any, card: stripe.PaymentMethod, outcome: str, status: str
) -> None:
    server.control.behave(card.id, outcome="processing", times=1)
    pi = charge(card)
    assert (pi.status, pi.latest_charge.status) == ("processing", "pending")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.cancel(pi.id)
    assert caught.value.code == "payment_intent_unexpected_state"
    server.control.settle(pi.id, outcome)
    assert client.v1.payment_intents.retrieve(pi.id).status == status


@pytest.mark.parametrize(
    ("number", "code", "decline_code"),
    [
        ("4000000000000341", "card_declined", "generic_decline"),
        ("4000000000009995", "card_declined", "insufficient_funds"),
        ("4000000000009987", "card_declined", "lost_card"),
        ("4000000000009979", "card_declined", "stolen_card"),
        ("4000000000000069", "expired_card", None),
        ("4000000000000127", "incorrect_cvc", None),
        ("4000000000000119", "processing_error", None),
    ],
)
def test_test_cards_decline_with_their_own_code(
    client: Client, number: str, code: str, decline_code: str | None
) -> None:
    card = {"number": number, "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    method = client.v1.payment_methods.create({"type": "card", "card": card})
    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.create(
            {
                "amount": 500,
                "currency": "usd",
                "payment_method": method.id,
                "confirm": True,
                "automatic_payment_methods": NO_REDIRECTS,
            }
        )
    assert (caught.value.error.code, caught.value.error.decline_code) == (code, decline_code)


def test_a_number_without_a_valid_check_digit_is_incorrect(client: Client) -> None:
    card = {"number": "4242424242424241", "exp_month": 12, "exp_year": 2040}
    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_methods.create({"type": "card", "card": card})
    assert caught.value.error.code == "incorrect_number"


def test_create_persist_confirm_makes_one_charge(
    client: Client, customer: stripe.Customer, card: stripe.PaymentMethod, server: LocalStripe
) -> None:
    pi = client.v1.payment_intents.create(
        {"amount": 500, "currency": "usd", "customer": customer.id, "payment_method": card.id}
    )
    assert pi.status == "requires_confirmation"
    assert client.v1.payment_intents.confirm(pi.id, {"off_session": True}).status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.confirm(pi.id, {"off_session": True})
    assert caught.value.code == "payment_intent_unexpected_state"
    assert caught.value.error.payment_intent.status == "succeeded"
    assert server.control.charges()["succeeded"] == 1


def test_canceling_twice_is_an_unexpected_state_with_the_payment_inside(client: Client) -> None:
    pi = client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
    assert client.v1.payment_intents.cancel(pi.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.cancel(pi.id)
    assert caught.value.code == "payment_intent_unexpected_state"
    assert caught.value.error.payment_intent.status == "canceled"


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (0, "parameter_invalid_integer"),
        (-1, "parameter_invalid_integer"),
        (49, "amount_too_small"),
        (100_000_000, "amount_too_large"),
    ],
)
def test_amounts_outside_the_limits_are_refused(client: Client, amount: int, code: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create({"amount": amount, "currency": "usd"})
    assert caught.value.code == code
    assert client.v1.payment_intents.list().data == []


def test_off_session_needs_confirm(client: Client) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create({"amount": 500, "currency": "usd", "off_session": True})
    assert caught.value.param == "off_session"


def test_confirming_without_a_card_or_return_url_is_refused(client: Client) -> None:
    pi = client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
    with pytest.raises(stripe.InvalidRequestError, match="missing a payment method"):
        client.v1.payment_intents.confirm(pi.id)
    with pytest.raises(stripe.InvalidRequestError, match="return_url"):
        client.v1.payment_intents.confirm(pi.id, {"payment_method": "pm_card_visa"})


def test_a_payment_method_is_never_reused_without_a_customer(
    client: Client, charge: Any, card: stripe.PaymentMethod
) -> None:
    client.v1.payment_methods.detach(card.id)
    for use in (
        lambda: charge(card),
        lambda: client.v1.payment_methods.attach(card.id, {"customer": "cus_x"}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            use()
        assert caught.value.http_status == 400
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again") as caught:
        charge(card)
    assert caught.value.error.code is None


def test_a_card_pays_only_with_its_own_customer(
    client: Client, charge: Any, card: stripe.PaymentMethod
) -> None:
    other = client.v1.customers.create({})
    with pytest.raises(stripe.InvalidRequestError, match="does not belong"):
        charge(card, customer=other.id)


def test_default_payment_method_must_be_attached_and_is_cleared_by_detach(
    client: Client, customer: stripe.Customer, card: stripe.PaymentMethod
) -> None:
    other = client.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": other.id}})
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": card.id}})
    client.v1.payment_methods.detach(card.id)
    assert client.v1.customers.retrieve(customer.id).invoice_settings.default_payment_method is None


def test_a_deleted_customer_cannot_be_charged(
    client: Client, customer: stripe.Customer, card: stripe.PaymentMethod, charge: Any
) -> None:
    assert client.v1.customers.delete(customer.id).deleted is True
    assert client.v1.customers.retrieve(customer.id).deleted is True
    assert client.v1.customers.list().data == []
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        charge(card)
