"""The page of a mailed link: who may see it, what it tells, and what its policy lets in."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from limits import parse

from shared import pay_links
from shared.ledger import Ledger
from shared.queue import CHECK_PAYMENT, Queue
from shared.settings import Settings
from tests.web.conftest import FakeGateway, KeyMaker
from web import formats, limits


@pytest.fixture
def token(ledger: Ledger, gateway: FakeGateway, settings: Settings, acme: str, monkeypatch: Any) -> str:
    """A link to a purchase whose bank asks for the card holder."""
    ledger.link_customer(acme, "cus_pay")
    ledger.open_purchase("pay_1", acme, "credits_100", 1, "cus_pay")
    ledger.attach_payment_intent("pay_1", "pi_1")
    ledger.await_card_holder("pay_1")
    intent = {
        "id": "pi_1",
        "status": "requires_action",
        "client_secret": "pi_1_secret_x",
        "payment_method": None,
    }
    monkeypatch.setattr(gateway, "retrieve_intent", lambda _id: intent, raising=False)
    return pay_links.pay_url(settings, "pay_1").rpartition("/")[2]


def test_only_this_page_lets_stripe_js_in(client: FlaskClient, token: str) -> None:
    policy = client.get(f"/billing/pay/{token}").headers.getlist("Content-Security-Policy")
    assert len(policy) == 1
    assert "unsafe" not in policy[0]
    for part in ("script-src 'self' http", "frame-src http", "connect-src 'self' http"):
        assert part in policy[0]
    for other in ("/sign-in", f"/billing/pay/{token}x", "/healthz"):
        assert "frame-src" not in client.get(other).headers["Content-Security-Policy"]


def test_page_tells_amount_and_account_and_no_balance(client: FlaskClient, token: str, acme: str) -> None:
    page = client.get(f"/billing/pay/{token}").text
    assert "$5.00" in page
    assert "Balance" not in page
    assert acme not in page.replace("Acme", "")


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ({"card": {"brand": "visa", "last4": "9995"}}, "Visa •••• 9995: Your card was declined."),
        ({"card": {"brand": "visa"}}, "Your card was declined."),
        ({"us_bank_account": {"last4": "6789"}}, "Your card was declined."),
        (None, "Your card was declined."),
    ],
)
def test_a_card_that_was_declined_is_named_where_stripe_says_which(method: Any, said: str) -> None:
    """Beside the button for another one, "your card" would be that one."""
    error = {"code": "card_declined", "message": "Your card was declined.", "payment_method": method}
    assert formats.refusal(error) == said
    assert formats.refusal(None) is formats.refusal({}) is None


@pytest.mark.parametrize("path", ["payments", "charges"])
def test_payments_show_the_link_to_whoever_may_pay_only(
    client: FlaskClient, key: KeyMaker, token: str, acme: str, path: str
) -> None:
    def shown(scopes: str) -> str | None:
        headers = key(scopes.split(","), acme)
        found: str | None = client.get(f"/api/billing/{path}", headers=headers).json["data"][0]["pay_url"]
        return found

    assert shown("read") is None
    assert "/billing/pay/" in (shown("read,admin") or "")


def test_a_payment_that_was_paid_meanwhile_leads_to_its_credits(
    client: FlaskClient, ledger: Ledger, token: str
) -> None:
    facts = {"payment_intent": "pi_1", "customer": "cus_pay", "amount_received": 500, "currency": "usd"}
    ledger.settle_payment("pay_1", {**facts, "charge": "ch_1"})
    answer = client.get(f"/billing/pay/{token}")
    assert (answer.status_code, answer.location) == (303, f"/billing/pay/{token}/done")
    assert "100 credits added" in client.get(answer.location).text


def test_waiting_for_what_can_still_be_paid_leads_back_to_paying(client: FlaskClient, token: str) -> None:
    assert client.get(f"/billing/pay/{token}/done").location == f"/billing/pay/{token}"


def test_links_are_limited_per_payment_and_stripe_is_asked_no_more(
    client: FlaskClient, token: str, gateway: FakeGateway, monkeypatch: Any
) -> None:
    asked: list[str] = []
    answer = gateway.retrieve_intent  # type: ignore[attr-defined]
    monkeypatch.setattr(gateway, "retrieve_intent", lambda intent: (asked.append(intent), answer(intent))[1])
    monkeypatch.setattr(limits, "PER_ACCOUNT", parse("3 per hour"))
    paths = (f"/billing/pay/{token}", f"/billing/pay/{token}/done") * 2
    assert [client.get(path).status_code for path in paths] == [200, 303, 200, 429]
    assert client.get(f"/billing/pay/{token}").status_code == 429
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("processing", "Waiting for the payment"),
        ("succeeded", "Waiting for the payment"),
        ("canceled", "The payment did not go through"),
    ],
)
def test_what_stripe_says_is_waited_for_or_told_and_a_worker_looks(
    client: FlaskClient,
    ledger: Ledger,
    token: str,
    gateway: FakeGateway,
    monkeypatch: Any,
    status: str,
    said: str,
) -> None:
    hints: list[tuple[str, ...]] = []
    monkeypatch.setattr(Queue, "hint", lambda _self, *message: hints.append(message))
    intent = {"id": "pi_1", "status": status, "client_secret": "pi_1_secret_x", "payment_method": None}
    monkeypatch.setattr(gateway, "retrieve_intent", lambda _id: intent, raising=False)
    before = ledger.get_balance("acme")
    assert client.get(f"/billing/pay/{token}").location == f"/billing/pay/{token}/done"
    page = client.get(f"/billing/pay/{token}/done").text
    assert said in page
    assert "credits added" not in page
    assert "pi_1_secret" not in page
    assert hints == [(CHECK_PAYMENT, "pay_1")]
    assert ledger.get_balance("acme") == before


def test_a_payment_that_the_bank_does_not_ask_about_is_not_paid_by_a_link(
    client: FlaskClient, ledger: Ledger, token: str, settings: Settings
) -> None:
    ledger.open_purchase("pay_2", "acme", "credits_100", 1, "cus_pay")
    ledger.attach_payment_intent("pay_2", "pi_2")
    other = pay_links.pay_url(settings, "pay_2").rpartition("/")[2]
    answer = client.get(f"/billing/pay/{other}")
    assert (answer.status_code, answer.location) == (303, f"/billing/pay/{other}/done")
    assert "pi_1_secret" not in client.get(answer.location).text
