"""Coming back from a Checkout that another front end opened: without sign-in, by a signed link, to what became of it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from shared import pay_links, queue
from shared.errors import StripeUnavailable
from shared.ledger import Ledger
from shared.settings import Settings
from tests.support import Database
from tests.web.conftest import Counts, FakeGateway, KeyMaker
from tests.web.test_outcomes import hints, settle, title
from web.local_login import login_url

__all__ = ["hints"]


@pytest.fixture
def back(client: FlaskClient, key: KeyMaker, acme: str, gateway: FakeGateway, ledger: Ledger) -> str:
    """Where the Checkout of a purchase by API leads back to, as a path; the payment is pay_1 for tests of test_outcomes."""
    ledger.link_customer(acme, "cus_1")
    body = {"package_id": "credits_100"}
    asked = client.post("/api/billing/checkout-sessions", json=body, headers=key(["admin"], acme))
    assert asked.status_code == 201
    urls = gateway.sessions[0][1]
    assert urls["cancel_url"] == f"{urls['success_url']}/canceled"
    return str(urls["success_url"]).removeprefix("http://localhost:8000")


@pytest.fixture
def payment(ledger: Ledger, back: str) -> str:
    return str(ledger.list_payments("acme", 1, None)["data"][0]["id"])


def test_a_repeat_tells_stripe_the_same_addresses(
    client: FlaskClient, key: KeyMaker, acme: str, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe refuses a repeat with other parameters under the same idempotency key."""
    lost: list[dict[str, Any]] = []

    def lose(_payment: object, **more: Any) -> None:
        lost.append(more)
        raise StripeUnavailable("no answer")

    token = key(["admin"], acme) | {"Idempotency-Key": "order-1"}
    with monkeypatch.context() as patch:
        patch.setattr(gateway, "create_checkout_session", lose)
        client.post("/api/billing/checkout-sessions", json={"package_id": "credits_100"}, headers=token)
    client.post("/api/billing/checkout-sessions", json={"package_id": "credits_100"}, headers=token)
    assert lost == [gateway.sessions[0][1]]


def test_buyer_without_sign_in_waits_and_sees_the_credits_and_no_balance(
    client: FlaskClient, ledger: Ledger, back: str, payment: str, hints: list[Any], money: Counts
) -> None:
    before = money()
    page = client.get(back)
    assert (page.status_code, title(page.text)) == (200, "Waiting for the payment · Refill")
    assert hints == [(queue.CHECK_PAYMENT, payment)]
    assert money() == before
    poll = re.search(r'hx-get="([^"]+)"', page.text)
    assert poll is not None
    settle(ledger, payment_id=payment)
    part = client.get(poll[1].replace("&amp;", "&")).text
    assert "100 credits added" in part
    assert title(part) == "Thank you · Refill"
    for secret in ("Balance", "New balance", "200", "Acme"):
        assert secret not in part
    assert len(hints) == 1
    assert client.get(f"{back}/canceled").location == back


def test_turning_back_says_that_nothing_was_charged_and_leads_on_to_paying(
    client: FlaskClient, ledger: Ledger, back: str, payment: str, hints: list[Any], money: Counts
) -> None:
    before = money()
    page = client.get(f"{back}/canceled").text
    assert "Nothing was charged" in page
    assert f'href="https://checkout.stripe.com/c/{payment}"' in page
    assert (hints, money()) == ([], before)
    ledger.fail_payment(payment, "canceled", "buyer_turned_back")
    page = client.get(f"{back}/canceled").text
    assert "you turned back" in page
    assert "checkout.stripe.com/c/" not in page


def test_who_is_signed_in_goes_on_to_the_page_of_the_account(
    client: FlaskClient, settings: Settings, back: str, payment: str
) -> None:
    url = urlsplit(login_url(settings, "acme"))
    client.get(f"{url.path}?{url.query}")
    assert client.get(back).location == f"/billing/success?payment={payment}"
    assert client.get(f"{back}/canceled").location == f"/billing/failure?payment={payment}"


def test_a_person_of_another_account_sees_what_everybody_with_the_link_sees(
    client: FlaskClient, settings: Settings, ledger: Ledger, back: str
) -> None:
    ledger.open_account("other", "Other", None, None, 0, "tests")
    url = urlsplit(login_url(settings, "other"))
    client.get(f"{url.path}?{url.query}")
    page = client.get(back)
    assert page.status_code == 200
    assert "Acme" not in page.text


@pytest.mark.parametrize("path", ["", "/canceled"])
def test_81_wrong_and_old_links_open_nothing(
    client: FlaskClient, settings: Settings, database: Database, back: str, payment: str, path: str
) -> None:
    for token in (f"{back}x", "/billing/return/x", "/billing/return/%00"):
        assert client.get(token + path).status_code == 403
    # A link that lets its holder pay is none to come back, and the other way round.
    mailed = pay_links.pay_url(settings, payment).rpartition("/")[2]
    assert client.get(f"/billing/return/{mailed}{path}").status_code == 403
    assert client.get(back.replace("/return/", "/pay/")).status_code == 403
    nothing = pay_links.return_url(settings, "pay_none").removeprefix("http://localhost:8000")
    assert client.get(nothing + path).status_code == 404
    with database.connect() as connection:
        connection.execute("update billing.payments set created_at = now() - interval '25 hours'")
    assert client.get(back + path).status_code == 410


def test_plan_that_was_bought_without_sign_in(
    client: FlaskClient, ledger: Ledger, settings: Settings, acme: str, hints: list[Any]
) -> None:
    ledger.link_customer(acme, "cus_1")
    ledger.open_subscription("subc_1", acme, "starter", "cus_1")
    ledger.attach_subscription_session("subc_1", "cs_1", "https://checkout.stripe.com/c/cs_1")
    back = pay_links.return_url(settings, "subc_1").removeprefix("http://localhost:8000")
    turned = client.get(f"{back}/canceled").text
    assert "You left before subscribing to Starter." in turned
    assert 'href="https://checkout.stripe.com/c/cs_1"' in turned
    assert hints == []
    page = client.get(back).text
    assert "Your plan Starter is being set up" in page
    assert "hx-get" in page
    assert hints == [(queue.CHECK_SUBSCRIPTION, "subc_1")]
    ledger.open_subscription("subc_2", acme, "starter", "cus_1")
    assert "The plan was not set up" in client.get(f"{back}?part=1").text
