"""Where a purchase comes back to: what it says in each state, when it has Stripe asked, and whose payments it shows."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from shared import pay_links, queue
from shared.keys import local_user_id
from shared.ledger import Ledger
from shared.settings import Settings
from tests.web.browsing import token_of
from tests.web.conftest import Counts, FakeGateway
from web.local_login import login_url

SUCCESS = "/billing/success?payment=pay_1"
FAILURE = "/billing/failure?payment=pay_1"


@pytest.fixture
def visitor(client: FlaskClient, settings: Settings, acme: str) -> FlaskClient:
    """The owner of acme."""
    url = urlsplit(login_url(settings, acme))
    assert client.get(f"{url.path}?{url.query}").status_code == 303
    return client


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What workers were asked for."""
    told: list[tuple[object, ...]] = []
    monkeypatch.setattr(queue.Queue, "hint", lambda _self, *message: told.append(message))
    return told


@pytest.fixture
def payment(ledger: Ledger, acme: str) -> str:
    """A purchase that Stripe has and that nobody has heard of since."""
    ledger.link_customer(acme, "cus_1")
    ledger.open_purchase("pay_1", acme, "credits_100", 1, "cus_1")
    ledger.attach_payment_intent("pay_1", "pi_1")
    return "pay_1"


def settle(ledger: Ledger, paid: int = 500, payment_id: str = "pay_1") -> None:
    facts = {"payment_intent": "pi_1", "customer": "cus_1", "amount_received": paid, "currency": "usd"}
    ledger.settle_payment(payment_id, {**facts, "charge": "ch_1"})


def title(page: str) -> str:
    found = re.search("<title>([^<]+)</title>", page)
    assert found is not None
    return found[1]


def test_first_view_has_stripe_asked_and_what_refreshes_it_does_not(
    visitor: FlaskClient, payment: str, hints: list[Any], money: Counts
) -> None:
    before = money()
    page = visitor.get(SUCCESS).text
    assert hints == [(queue.CHECK_PAYMENT, payment)]
    poll = re.search(r'hx-get="(/billing/success[^"]+)"', page)
    reload = re.search(r'<noscript><meta http-equiv="refresh" content="2; url=([^"]+)">', page)
    assert poll is not None
    assert reload is not None
    for path in (poll[1], reload[1]):
        again = visitor.get(path.replace("&amp;", "&")).text
        assert "Waiting for the payment" in again
        assert path in again
    assert len(hints) == 1
    assert money() == before


def test_who_comes_back_too_often_waits_without_having_stripe_asked(
    visitor: FlaskClient, payment: str, hints: list[Any]
) -> None:
    statuses = {visitor.get(SUCCESS).status_code for _ in range(12)}
    assert statuses == {200}
    assert len(hints) == 10


def test_waiting_long_says_what_is_going_on(visitor: FlaskClient, payment: str) -> None:
    now = int(time.time())
    soon, late = (visitor.get(f"{SUCCESS}&since={now - waited}&part=1").text for waited in (2, 15))
    assert "usually takes a few seconds" in soon
    assert "Stripe has not confirmed the payment yet. You may leave this page" in late
    for odd in ("x", "", "-1", "9" * 400, "\N{SUPERSCRIPT TWO}"):
        assert "usually takes a few seconds" in visitor.get(f"{SUCCESS}&since={odd}").text


@pytest.mark.parametrize(
    ("state", "expected"),
    [("open", "Waiting for the payment"), ("succeeded", "Thank you"), ("parked", "Being checked"),
     ("failed", "Not paid"), ("canceled", "Not paid")],
)  # fmt: skip
def test_title_follows_the_state_also_of_the_part_that_refreshes(
    visitor: FlaskClient, ledger: Ledger, settings: Settings, payment: str, hints: list[Any], gateway: FakeGateway,
    monkeypatch: pytest.MonkeyPatch, state: str, expected: str,
) -> None:  # fmt: skip
    intent = {"id": "pi_1", "status": "processing"}
    monkeypatch.setattr(gateway, "retrieve_intent", lambda _id: intent, raising=False)
    if state in ("succeeded", "parked"):
        settle(ledger, 500 if state == "succeeded" else 499)
    elif state != "open":
        ledger.fail_payment(payment, state, "insufficient_funds")
    link = urlsplit(pay_links.pay_url(settings, payment)).path + "/done"
    for path in (SUCCESS, f"{SUCCESS}&part=1", link, f"{link}?part=1"):
        assert title(visitor.get(path).text) == f"{expected} · Refill", path
    assert hints == ([(queue.CHECK_PAYMENT, payment)] * 2 if state == "open" else [])


@pytest.mark.parametrize("state", ["open", "succeeded", "canceled"])
def test_pages_after_paying_carry_the_navigation(
    visitor: FlaskClient, ledger: Ledger, payment: str, state: str
) -> None:
    if state == "succeeded":
        settle(ledger)
    elif state == "canceled":
        ledger.fail_payment(payment, "canceled", "buyer_turned_back")
    for path in (SUCCESS, FAILURE):
        page = visitor.get(path).text
        assert '<nav class="sections" aria-label="Billing">' in page
        assert 'href="/billing/buy" aria-current="page"' in page
    assert "<nav" not in visitor.get(f"{SUCCESS}&part=1").text


@pytest.fixture
def elsewhere(visitor: FlaskClient, ledger: Ledger, payment: str) -> str:
    """The owner of acme has looked at another account since the payment was begun."""
    ledger.open_account("second", "Second Ltd", None, local_user_id("acme"), 0, "tests")
    ledger.adjust_credits("adj_1", "second", 7_000_000, "tests", "tests")
    token = token_of(visitor.get("/billing").text)
    visitor.post("/billing/account", data={"csrf_token": token, "account_id": "second"})
    assert re.search(
        'id="header-balance"[^>]*><span class="visually-hidden">Balance: </span>7<',
        visitor.get("/billing").text,
    )
    return payment


def test_payment_of_another_of_ones_accounts_names_it_and_shows_its_balance(
    visitor: FlaskClient, ledger: Ledger, elsewhere: str
) -> None:
    waiting = visitor.get(SUCCESS).text
    assert "100 credits for Acme" in waiting
    settle(ledger)
    for part in ("", "&part=1"):
        page = visitor.get(SUCCESS + part).text
        assert "New balance for Acme:" in page
        assert '<p class="big">200</p>' in page
        # The header stays with the account in view.
        assert "Balance: </span>7<" in page
        assert "Go on in Acme" in page
    assert "credits were added for Acme" in visitor.get(FAILURE).text


def test_unpaid_purchase_of_another_of_ones_accounts_goes_on_in_that_account(
    visitor: FlaskClient, ledger: Ledger, elsewhere: str, money: Counts
) -> None:
    # The membership notes which account is in view.
    before = {**money(), "account_members": 0}
    page = visitor.get(FAILURE).text
    assert "for 100 credits for Acme" in page
    assert "/billing/buy?package_id" not in page
    form = re.search(
        r'<form method="post" action="/billing/account">(?:(?!</form>).)*Go on in Acme', page, re.DOTALL
    )
    assert form is not None
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0]))
    answer = visitor.post("/billing/account", data=fields)
    assert (answer.status_code, answer.location) == (303, FAILURE)
    assert "/billing/buy?package_id=credits_100" in visitor.get(FAILURE).text
    assert {**money(), "account_members": 0} == before


def test_failed_purchase_of_another_of_ones_accounts_leads_to_trying_again_there(
    visitor: FlaskClient, ledger: Ledger, elsewhere: str
) -> None:
    ledger.fail_payment(elsewhere, "failed", "insufficient_funds")
    page = visitor.get(SUCCESS).text
    assert "no credits were added for Acme" in page
    assert f'name="payment" value="{elsewhere}"' in page
    assert "Try again" not in page


def test_81_payments_of_accounts_that_one_has_left_are_not_found(
    visitor: FlaskClient, ledger: Ledger, elsewhere: str
) -> None:
    ledger.set_member("acme", "00000000-0000-4000-8000-00000000aaaa", "owner", "tests")
    ledger.remove_member("acme", local_user_id("acme"), "tests")
    assert {visitor.get(path).status_code for path in (SUCCESS, FAILURE)} == {404}


@pytest.mark.parametrize("odd", ["//evil.example", "https://evil.example", "x\r\ny"])
def test_87_switching_leads_to_our_own_pages_only(visitor: FlaskClient, odd: str) -> None:
    token = token_of(visitor.get("/billing").text)
    answer = visitor.post(
        "/billing/account", data={"csrf_token": token, "account_id": "acme", "payment": odd}
    )
    assert answer.location.startswith("/billing/failure?payment=")
    assert visitor.get(answer.location).status_code == 404
