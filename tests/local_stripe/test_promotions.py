"""Promotion codes on the Checkout page: what they take off, whom they are refused to, and orders that they make free."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import stripe

from local.stripe import currencies
from local.stripe.app import LocalStripe
from local.stripe.errors import StripeError
from shared.currencies import CURRENCIES
from tests.local_stripe.conftest import Endpoint, wait_until
from tests.local_stripe.test_checkout import submit

Client = stripe.StripeClient


@pytest.fixture
def codes(client: Client) -> None:
    for code, coupon in {
        "FALL20": {"percent_off": 20, "duration": "once"},
        "TWO": {"amount_off": 200, "currency": "usd", "duration": "once"},
        "EURO": {"amount_off": 200, "currency": "eur", "duration": "once"},
        "NEARLY": {"amount_off": 470, "currency": "usd", "duration": "once"},
        "FREE": {"percent_off": 100, "duration": "once", "max_redemptions": 1},
    }.items():
        made = client.v1.coupons.create(coupon)  # type: ignore[arg-type]
        client.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": made.id}, "code": code})


def opened(checkout: Any) -> Any:
    return checkout(allow_promotion_codes=True)


def apply(session: Any, code: str) -> requests.Response:
    return requests.post(f"{session.url}/code", data={"code": code}, timeout=5)


@pytest.mark.usefixtures("codes")
@pytest.mark.parametrize(("code", "off"), [("FALL20", 100), ("fall20", 100), ("TWO", 200)])
def test_a_code_lowers_the_total_and_says_by_what(client: Client, checkout: Any, code: str, off: int) -> None:
    session = opened(checkout)
    page = apply(session, code)
    assert (page.status_code, f"${(500 - off) / 100:.2f}" in page.text) == (200, True)
    assert submit(session.url).status_code == 303
    found = client.v1.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent", "line_items", "discounts.promotion_code"]}
    ).to_dict()
    assert (found["amount_subtotal"], found["amount_total"]) == (500, 500 - off)
    assert found["total_details"]["amount_discount"] == off
    assert found["payment_intent"]["amount_received"] == 500 - off
    assert found["line_items"]["data"][0]["amount_discount"] == off
    assert found["discounts"][0]["promotion_code"]["code"] == code.upper()
    assert found["discounts"][0]["promotion_code"]["times_redeemed"] == 1


@pytest.mark.usefixtures("codes")
@pytest.mark.parametrize("code", ["NONE", "EURO", "NEARLY"])
def test_a_code_that_does_not_fit_changes_nothing(client: Client, checkout: Any, code: str) -> None:
    session = opened(checkout)
    assert apply(session, code).status_code == 400
    assert client.v1.checkout.sessions.retrieve(session.id).amount_total == 500


@pytest.mark.usefixtures("codes")
def test_a_session_without_the_setting_takes_no_code(client: Client, checkout: Any) -> None:
    session = checkout()
    assert "Promotion code" not in requests.get(session.url, timeout=5).text
    assert apply(session, "FALL20").status_code == 400
    assert client.v1.checkout.sessions.retrieve(session.id).amount_total == 500


@pytest.mark.usefixtures("codes")
def test_a_free_order_needs_no_card_and_has_no_payment_intent(
    client: Client, checkout: Any, server: LocalStripe, endpoint: Endpoint
) -> None:
    session = opened(checkout)
    page = apply(session, "FREE").text
    assert "Complete order" in page
    assert "Card number" not in page
    form = {"email": "ada@example.com", "free": "1"}
    assert requests.post(session.url, data=form, allow_redirects=False, timeout=5).status_code == 303
    found = client.v1.checkout.sessions.retrieve(session.id)
    assert (found.status, found.payment_status, found.payment_intent, found.amount_total) == (
        "complete", "no_payment_required", None, 0,
    )  # fmt: skip
    wait_until(lambda: "checkout.session.completed" in [event["type"] for event in endpoint.events])
    assert apply(opened(checkout), "FREE").status_code == 400, "it was redeemed as often as it may be"
    assert server.control.charges()["succeeded"] == 0


def test_another_code_takes_the_place_of_the_first(client: Client, checkout: Any, codes: None) -> None:
    session = opened(checkout)
    apply(session, "FALL20")
    apply(session, "TWO")
    assert client.v1.checkout.sessions.retrieve(session.id).amount_total == 300
    apply(session, "")
    assert client.v1.checkout.sessions.retrieve(session.id).amount_total == 500


@pytest.mark.parametrize("code", sorted(CURRENCIES))
def test_it_takes_what_refill_takes_in_every_currency(code: str) -> None:
    """The two tables were written from Stripe's page, each for itself."""
    rules = CURRENCIES[code]
    assert currencies.decimals(code) == rules.decimals
    for amount in (rules.minimum, rules.maximum):
        currencies.check_amount(amount, code)
    if rules.step > 1:
        with pytest.raises(StripeError):
            currencies.check_amount(rules.minimum + 1, code)
    if code in currencies.MINIMUM:
        assert currencies.MINIMUM[code] == rules.minimum
