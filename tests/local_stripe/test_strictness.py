"""What Stripe refuses and how it says so: addresses, amounts, other modes, permissions, keys, portal, codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
import stripe

from local.stripe import currencies
from local.stripe.app import LocalStripe
from local.stripe.errors import StripeError
from tests.local_stripe.conftest import wait_until

Client = stripe.StripeClient
DAY = 86400


@pytest.mark.parametrize(
    "address",
    [
        "a@localhost",
        "someone@gmail",
        "b\N{LATIN SMALL LETTER O WITH DIAERESIS}b@example.com",
        "a,b@example.com",
        "x\N{FULLWIDTH COMMERCIAL AT}y@example.com",
        " ada@example.com",
        "ada@example.com ",
        "ada lovelace@example.com",
        "odatakeryu",
        "@example.com",
        "ada@",
        "ada@@example.com",
        ".ada@example.com",
        "ada.@example.com",
        "a..da@example.com",
        "ada@.com",
        "ada@example..com",
        "ada@-example.com",
        "ada@example.c",
        "ada@example.123",
        "a" * 65 + "@example.com",
        "<ada@example.com>",
    ],
)
def test_an_address_that_is_none_is_refused_and_makes_no_customer(client: Client, address: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.customers.create({"email": address})
    assert (caught.value.code, caught.value.param) == ("email_invalid", "email")
    assert caught.value.user_message == f"Invalid email address: {address}"
    assert client.v1.customers.list().data == []


@pytest.mark.parametrize(
    "address",
    ["ada@example.com", "ada+tag@mail.example.co.uk", "o'hara@example.org", "1@2.io",
     "a@b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.de", "ada@xn--bcher-kva.example"],
)  # fmt: skip
def test_an_unusual_address_is_taken(client: Client, address: str) -> None:
    made = client.v1.customers.create({"email": address})
    assert made.email == address


def test_a_wrong_address_is_refused_on_every_path(
    client: Client, customer: stripe.Customer, checkout: Any
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.customers.update(customer.id, {"email": "a@localhost"})
    assert caught.value.code == "email_invalid"
    assert client.v1.customers.retrieve(customer.id).email == "ada@example.com"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        checkout(customer_email="someone@gmail")
    assert caught.value.param == "customer_email"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.create({"amount": 500, "currency": "usd", "receipt_email": "a@localhost"})


@pytest.mark.parametrize(
    ("amount", "currency", "code", "said"),
    [
        (49, "usd", "amount_too_small", "Amount must be at least $0.50 usd"),
        (29, "gbp", "amount_too_small", "Amount must be at least \N{POUND SIGN}0.30 gbp"),
        (399, "hkd", "amount_too_small", "Amount must be at least HK$4.00 hkd"),
        (49, "jpy", "amount_too_small", "Amount must be at least \N{YEN SIGN}50 jpy"),
        (17499, "huf", "amount_too_small", "Amount must be at least HUF175.00 huf"),
        (100, "kwd", "amount_too_small", "Amount must convert to at least 50 cents. KWD0.100 converts"),
        (100, "krw", "amount_too_small", "Amount must convert to at least 50 cents."),
        (9205, "kwd", None, "must be divisible by 10"),
        (100_000_000, "usd", "amount_too_large", "Amount must be no more than $999,999.99 usd"),
        (500, "xyz", None, "Invalid currency: xyz. Stripe currently supports these currencies: usd, aed"),
        (500, "us", None, "Invalid currency: us."),
        (0, "usd", "parameter_invalid_integer", "greater than or equal to 1"),
    ],
)
def test_an_amount_that_cannot_be_charged_is_refused(
    client: Client, amount: int, currency: str, code: str | None, said: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create({"amount": amount, "currency": currency})
    assert (caught.value.code, said in str(caught.value.user_message)) == (code, True)
    assert client.v1.payment_intents.list().data == []


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        (30, "gbp"),
        (50, "jpy"),
        (9200, "kwd"),
        (400, "hkd"),
        (999_999_999_990, "jpy"),
        (1000, "mxn"),
        (800, "krw"),
    ],
)
def test_an_amount_at_the_edge_is_taken(client: Client, amount: int, currency: str) -> None:
    assert client.v1.payment_intents.create({"amount": amount, "currency": currency}).amount == amount


def test_amounts_are_written_with_their_decimals() -> None:
    assert [currencies.written(9200, code) for code in ("usd", "jpy", "kwd", "sek")] == [
        "$92.00", "\N{YEN SIGN}9,200", "KWD9.200", "SEK92.00",
    ]  # fmt: skip
    with pytest.raises(StripeError):
        currencies.known("btc")


def test_checkout_says_in_its_own_words_that_an_amount_is_too_small(checkout: Any) -> None:
    item = {
        "quantity": 1,
        "price_data": {"currency": "hkd", "unit_amount": 100, "product_data": {"name": "C"}},
    }
    with pytest.raises(
        stripe.InvalidRequestError, match="Checkout Session's total amount must be at least"
    ) as caught:
        checkout(line_items=[item])
    assert caught.value.code == "amount_too_small"


def test_what_exists_in_the_other_mode_is_missing_with_a_reason(
    client: Client, checkout: Any, server: LocalStripe
) -> None:
    for id in ("price_live", "cus_live"):
        server.control.other_mode(id)
    reason = "a similar object exists in live mode, but a test mode key was used to make this request"
    with pytest.raises(stripe.InvalidRequestError, match=f"No such price: 'price_live'; {reason}") as caught:
        checkout(line_items=[{"price": "price_live", "quantity": 1}])
    assert (caught.value.http_status, caught.value.code) == (400, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError, match=reason):
        client.v1.customers.retrieve("cus_live")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.prices.retrieve("price_unknown")
    assert reason not in str(caught.value)


@pytest.mark.parametrize(
    ("resource", "permission", "call"),
    [
        ("billing_portal", "rak_customer_portal_write", lambda c, id: c.v1.billing_portal.sessions.create({"customer": id})),
        ("customers", "rak_customer_read", lambda c, id: c.v1.customers.retrieve(id)),
        ("events", "rak_event_read", lambda c, _id: c.v1.events.list()),
    ],
)  # fmt: skip
def test_a_key_without_a_permission_is_refused_with_its_name(
    client: Client, customer: stripe.Customer, server: LocalStripe, resource: str, permission: str, call: Any
) -> None:
    server.control.restrict(resource)
    with pytest.raises(stripe.PermissionError, match=f"Having the '{permission}' permission") as caught:
        call(client, customer.id)
    assert caught.value.http_status == 403
    server.control.restrict(resource, "write")
    call(client, customer.id)


def test_a_key_that_may_only_read_cannot_write(
    client: Client, customer: stripe.Customer, server: LocalStripe
) -> None:
    server.control.restrict("customers", "read")
    assert client.v1.customers.retrieve(customer.id).id == customer.id
    with pytest.raises(stripe.PermissionError):
        client.v1.customers.update(customer.id, {"name": "Other"})
    assert client.v1.customers.retrieve(customer.id).name is None


def test_a_key_is_forgotten_a_day_later_and_executes_again(client: Client, server: LocalStripe) -> None:
    options: Any = {"idempotency_key": "once"}
    first = client.v1.customers.create({"name": "A"}, options).id
    assert client.v1.customers.create({"name": "A"}, options).id == first
    with pytest.raises(stripe.IdempotencyError):
        client.v1.customers.create({"name": "B"}, options)
    server.control.advance(DAY - 60)
    assert client.v1.customers.create({"name": "A"}, options).id == first
    server.control.advance(61)
    assert client.v1.customers.create({"name": "B"}, options).id != first


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({"kind": 400, "code": "amount_too_small", "param": "amount"}, stripe.InvalidRequestError),
        ({"kind": 401}, stripe.AuthenticationError),
        ({"kind": 402, "code": "card_declined", "type": "card_error"}, stripe.CardError),
        ({"kind": 403, "code": "more_permissions_required"}, stripe.PermissionError),
        ({"kind": 404, "code": "resource_missing", "param": "id"}, stripe.InvalidRequestError),
        ({"kind": 429, "code": "rate_limit"}, stripe.RateLimitError),
    ],
)
def test_a_refusal_is_made_by_choice(client: Client, server: LocalStripe, rule: Any, error: Any) -> None:
    server.control.fail(path="/v1/customers", message="As the test says.", **rule)
    with pytest.raises(error) as caught:
        client.v1.customers.create({"name": "A"}, {"max_network_retries": 0})
    said = caught.value.error
    assert (said.message, said.code, said.param) == ("As the test says.", rule.get("code"), rule.get("param"))
    assert client.v1.customers.list().data == []


def test_a_refunded_inquiry_is_closed(
    client: Client, charge: Any, card: Any, server: LocalStripe, endpoint: Any
) -> None:
    paid, other = charge(card).latest_charge.id, charge(card).latest_charge.id
    inquiry = server.control.open_dispute(paid, inquiry=True)
    half = server.control.open_dispute(other, inquiry=True)
    client.v1.refunds.create({"charge": paid})
    client.v1.refunds.create({"charge": other, "amount": 200})
    assert client.v1.disputes.retrieve(inquiry["id"]).status == "warning_closed"
    assert client.v1.disputes.retrieve(half["id"]).status == "warning_needs_response"
    wait_until(lambda: "charge.dispute.closed" in endpoint.types())


def test_a_disputed_amount_that_the_bank_changes_moves_the_difference(
    client: Client, charge: Any, card: Any, server: LocalStripe
) -> None:
    dispute = server.control.open_dispute(charge(card).latest_charge.id, amount=400)
    server.control.correct_dispute(dispute["id"], 300)
    after = client.v1.disputes.retrieve(dispute["id"])
    assert (after.amount, [moved.amount for moved in after.balance_transactions]) == (300, [-400, 100])
    server.control.close_dispute(dispute["id"], won=False)
    with pytest.raises(StripeError):
        server.control.correct_dispute(dispute["id"], 200)


def test_objects_change_after_they_were_made(
    client: Client, charge: Any, card: Any, server: LocalStripe
) -> None:
    paid = charge(card).latest_charge.id
    refund = client.v1.refunds.create({"charge": paid, "amount": 100})
    assert client.v1.refunds.update(refund.id, {"metadata": {"a": "1"}}).metadata["a"] == "1"
    assert client.v1.charges.update(paid, {"description": "Credits"}).description == "Credits"
    dispute = server.control.open_dispute(charge(card).latest_charge.id)
    sent = client.v1.disputes.update(
        dispute["id"], {"evidence": {"uncategorized_text": "Used"}, "submit": True}
    )
    assert (sent.status, sent.evidence_details.submission_count) == ("under_review", 1)
    assert client.v1.disputes.close(dispute["id"]).status == "lost"


def test_events_are_listed_for_thirty_days_by_type_and_delivery(
    client: Client, customer: stripe.Customer, server: LocalStripe
) -> None:
    wait_until(server.control.idle)
    (made,) = client.v1.events.list({"types": ["customer.created", "charge.failed"]}).data
    assert client.v1.events.list({"delivery_success": False}).data == []
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.events.list({"type": "customer.created", "types": ["customer.created"]})
    server.control.advance(31 * DAY)
    assert client.v1.events.list().data == []
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.events.retrieve(made.id)


@pytest.fixture
def code(client: Client) -> Callable[..., str]:
    """A promotion code: `code(percent_off=20)`; its id. Further arguments are the code's own."""

    def make(text: str, own: Any = None, **coupon: Any) -> str:
        made = client.v1.coupons.create({"duration": "once", **coupon})  # type: ignore[typeddict-item]
        promotion: Any = {"type": "coupon", "coupon": made.id}
        return client.v1.promotion_codes.create({"promotion": promotion, "code": text, **(own or {})}).id

    return make


def test_a_promotion_code_typed_on_the_page_lowers_the_total(
    client: Client, checkout: Any, code: Any, customer: stripe.Customer, server: LocalStripe
) -> None:
    promo = code("SPRING", percent_off=20)
    session = checkout(customer=customer.id, allow_promotion_codes=True)
    shown = requests.post(f"{session.url}/code", data={"code": "spring"}, timeout=5)
    assert "$4.00" in shown.text
    assert client.v1.promotion_codes.retrieve(promo).times_redeemed == 0
    server.control.pay_checkout(session.id)
    paid = client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.amount_subtotal, paid.amount_total, paid.total_details.amount_discount) == (500, 400, 100)
    assert [one.promotion_code for one in paid.discounts or []] == [promo]
    assert client.v1.payment_intents.retrieve(str(paid.payment_intent)).amount_received == 400
    assert client.v1.promotion_codes.retrieve(promo).times_redeemed == 1
    assert [one.id for one in client.v1.promotion_codes.list({"code": "SPRING", "active": True}).data] == [
        promo
    ]


@pytest.mark.parametrize(
    ("coupon", "own"),
    [
        ({"amount_off": 100, "currency": "eur"}, {}),
        ({"percent_off": 99}, {}),
        ({"percent_off": 10}, {"active": False}),
        ({"percent_off": 10}, {"expires_at": 1}),
        ({"percent_off": 10}, {"restrictions": {"minimum_amount": 600, "minimum_amount_currency": "usd"}}),
    ],
)
def test_a_code_that_does_not_fit_changes_nothing(
    client: Client, checkout: Any, code: Any, coupon: Any, own: Any
) -> None:
    code("NOPE", own, **coupon)
    session = checkout(allow_promotion_codes=True)
    assert requests.post(f"{session.url}/code", data={"code": "NOPE"}, timeout=5).status_code == 400
    assert client.v1.checkout.sessions.retrieve(session.id).amount_total == 500


def test_a_coupon_of_the_session_may_take_everything(
    client: Client, checkout: Any, customer: stripe.Customer, server: LocalStripe
) -> None:
    free = client.v1.coupons.create({"percent_off": 100, "duration": "once", "max_redemptions": 1})
    session = checkout(customer=customer.id, discounts=[{"coupon": free.id}])
    assert (session.amount_total, session.payment_status) == (0, "no_payment_required")
    server.control.pay_checkout(session.id)
    done = client.v1.checkout.sessions.retrieve(session.id)
    assert (done.status, done.payment_intent, done.payment_status) == (
        "complete",
        None,
        "no_payment_required",
    )
    assert server.control.charges(customer.id)["succeeded"] == 0
    with pytest.raises(stripe.InvalidRequestError):
        checkout(discounts=[{"coupon": free.id}])
    with pytest.raises(stripe.InvalidRequestError, match="only specify one"):
        checkout(discounts=[{"coupon": free.id}], allow_promotion_codes=True)
