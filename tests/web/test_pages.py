"""The billing page: signing in locally, what it shows, buying, coming back."""

from __future__ import annotations

import re
import time
from urllib.parse import urlsplit

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared.ledger import Ledger
from shared.settings import Settings
from tests.web.conftest import Counts, FakeGateway
from web.local_login import login_url

ORDER = "/billing/buy?package_id=credits_100"


@pytest.fixture
def visitor(client: FlaskClient, settings: Settings, acme: str) -> FlaskClient:
    """A browser that followed the sign-in link."""
    url = urlsplit(login_url(settings, acme))
    response = client.get(f"{url.path}?{url.query}")
    assert (response.status_code, response.location) == (303, "/billing")
    return client


def form(page: str) -> dict[str, str]:
    """The fields of the order's form."""
    found = re.search(r'<form method="post" action="/billing/checkout".*?</form>', page, re.DOTALL)
    assert found is not None
    return dict(re.findall(r'type="(?:hidden|number)" name="(\w+)" value="([^"]*)"', found[0]))


def test_link_signs_in_with_a_guarded_cookie(client: FlaskClient, settings: Settings, acme: str) -> None:
    url = urlsplit(login_url(settings, acme))
    cookie = client.get(f"{url.path}?{url.query}").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


@pytest.mark.parametrize("token", ["", "x", "ImFjbWUi.aaaa.bbbb", "\0"])
def test_wrong_links_do_not_sign_in(client: FlaskClient, token: str) -> None:
    assert client.get("/local/login", query_string={"token": token}).status_code == 403
    assert client.get("/billing").status_code == 401


def test_page_shows_balance_movements_and_packages(visitor: FlaskClient, ledger: Ledger, acme: str) -> None:
    ledger.spend_credits(acme, {"id": "run-1", "action": "chat", "quantity": 1})
    page = visitor.get("/billing").text
    for text in (
        "97.5",
        "\N{MINUS SIGN}2.5",
        "+100",
        "Sign-up credits",
        "run-1",
        "$5.00",
        "$20.00",
        "Auto top-up",
    ):
        assert text in page
    assert "<script>" not in page
    assert '<noscript><meta http-equiv="refresh"' in page


def test_part_that_refreshes_itself_is_current(visitor: FlaskClient, ledger: Ledger, acme: str) -> None:
    ledger.spend_credits(acme, {"id": "run-1", "action": "chat", "quantity": 39})
    part = visitor.get("/billing/live").text
    assert "<html" not in part
    assert "running low" in part
    assert re.search('id="header-balance"[^>]* hx-swap-oob="true"', part)


def test_85_names_and_ids_are_escaped(visitor: FlaskClient, ledger: Ledger, acme: str) -> None:
    ledger.spend_credits(acme, {"id": "<script>alert(1)</script>", "action": "chat", "quantity": 1})
    page = visitor.get("/billing").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_buying_goes_to_checkout_and_a_double_click_is_one_purchase(
    visitor: FlaskClient, gateway: FakeGateway
) -> None:
    fields = form(visitor.get(ORDER).text)
    first, second = (visitor.post("/billing/checkout", data=fields) for _ in range(2))
    assert first.status_code == 303
    assert first.location.startswith("https://checkout.stripe.com/")
    assert second.location == first.location
    assert len(gateway.sessions) == 1


@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_86_form_of_another_site_is_refused(
    visitor: FlaskClient, gateway: FakeGateway, money: Counts, token: str | None
) -> None:
    fields = form(visitor.get(ORDER).text)
    forged = {name: value for name, value in fields.items() if name != "csrf_token"}
    before = money()
    response = visitor.post(
        "/billing/checkout", data=forged | ({} if token is None else {"csrf_token": token})
    )
    assert response.status_code == 400
    assert "too old" in response.text
    assert visitor.post("/billing/sign-out").status_code == 400
    assert money() == before
    assert gateway.sessions == []


def test_coming_back_waits_for_the_grant_and_shows_the_new_balance(
    visitor: FlaskClient, ledger: Ledger, acme: str
) -> None:
    payment = _buy(visitor, ledger)
    waiting = visitor.get(f"/billing/success?payment={payment}").text
    assert "Waiting for the payment" in waiting
    assert "hx-get" in waiting
    ledger.settle_payment(
        payment,
        {
            "payment_intent": "pi_1",
            "customer": f"cus_{acme}",
            "amount_received": 500,
            "currency": "usd",
            "charge": "ch_1",
            "receipt_url": "https://pay.stripe.com/r",
            "occurred_at": int(time.time()),
            "payment_method": "pm_1",
            "card": None,
            "saved": False,
            "checkout_session": f"cs_{payment}",
        },
    )
    arrived = visitor.get(f"/billing/success?payment={payment}&part=1").text
    assert "100 credits added" in arrived
    assert ">200<" in arrived
    assert "https://pay.stripe.com/r" in arrived
    assert "/billing/success" not in arrived
    assert re.search('id="header-balance"[^>]* hx-swap-oob="true"', arrived)


def test_turning_back_says_that_nothing_was_charged(visitor: FlaskClient, ledger: Ledger) -> None:
    payment = _buy(visitor, ledger)
    page = visitor.get(f"/billing/failure?payment={payment}").text
    assert "Nothing was charged" in page
    assert f"https://checkout.stripe.com/c/{payment}" in page


@pytest.mark.parametrize("page", ["success", "failure"])
@pytest.mark.parametrize("payment", ["", "pay_none", "pay_others", "%00", "x" * 3000])
def test_81_others_payments_are_not_found(
    visitor: FlaskClient, ledger: Ledger, page: str, payment: str
) -> None:
    ledger.open_account("other", "Other", None, None, 0, "tests")
    ledger.link_customer("other", "cus_other")
    ledger.open_purchase("pay_others", "other", "credits_100", 1, "cus_other")
    assert visitor.get(f"/billing/{page}?payment={payment}").status_code == 404


def test_signing_out_ends_the_session(visitor: FlaskClient) -> None:
    token = form(visitor.get(ORDER).text)["csrf_token"]
    visitor.post("/billing/sign-out", data={"csrf_token": token})
    assert visitor.get("/billing").status_code == 401


def test_failing_page_is_a_page(app: Flask, visitor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("secret detail")

    monkeypatch.setattr(Ledger, "get_balance", fail)
    response = visitor.get("/billing")
    assert (response.status_code, response.mimetype) == (500, "text/html")
    assert "secret detail" not in response.text


def _buy(visitor: FlaskClient, ledger: Ledger) -> str:
    visitor.post("/billing/checkout", data=form(visitor.get(ORDER).text))
    return str(ledger.list_payments("acme", 1, None)["data"][0]["id"])


def test_page_says_until_when_an_account_in_grace_may_go_on_and_what_a_pause_is_for(
    visitor: FlaskClient, ledger: Ledger, acme: str, settings: Settings
) -> None:
    ledger.link_customer(acme, "cus_grace")
    ledger.set_default_payment_method(acme, "pm_1", {"brand": "visa"}, "test")
    consent = {"threshold": 10_000_000, "credits": 100_000_000, "text_version": "v1"}
    ledger.set_auto_topup(acme, {"enabled": True, **consent}, "test")
    ledger.set_default_payment_method(acme, None, None, "test")
    ledger.dun_accounts(1, 0, 10)
    assert "Automatic payments have stopped." in visitor.get("/billing").text
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:  # type: ignore[union-attr]
        connection.execute("update billing.credit_balances set grace_until = now()")
    ledger.dun_accounts(1, 0, 10)
    page = visitor.get("/billing").text
    assert "Automatic payments have failed" in page
    assert "disputed" not in page
