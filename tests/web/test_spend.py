"""POST /api/credits/use and the balance, over the real ledger."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared import queue
from shared.ledger import Ledger
from shared.queue import Queue
from tests.web.conftest import Counts, KeyMaker

USE = "/api/credits/use"


def test_documented_calls_work_as_written(client: FlaskClient, key: KeyMaker, acme: str) -> None:
    """The three curl calls of the requirement text S4, with a key that is bound to an account."""
    token = key(["read", "spend", "price"], acme)
    balance = client.get("/api/credits/balance", headers=token)
    assert (balance.status_code, balance.json["available"]) == (200, "100")
    plans = client.get("/api/billing/plans")
    assert plans.status_code == 200
    assert isinstance(plans.json["data"], list)
    used = client.post(
        USE,
        data='{"amount": 5, "agent_type": "TestAgent", "action": "test"}',
        headers=token | {"Content-Type": "application/json"},
    )
    assert used.status_code == 200
    assert (used.json["credits"], used.json["available"]) == ("5", "95")
    events = client.get("/api/credits/usage", headers=token).json["data"]
    assert (events[0]["agent"], events[0]["action"], events[0]["id"]) == (
        "TestAgent",
        "test",
        used.json["id"],
    )


def test_action_is_priced_by_the_table(client: FlaskClient, key: KeyMaker, acme: str) -> None:
    used = client.post(USE, json={"id": "a", "action": "chat", "quantity": 3}, headers=key(["spend"], acme))
    assert used.json == {
        "id": "a",
        "transaction_id": used.json["transaction_id"],
        "credits": "7.5",
        "available": "92.5",
        "status": "active",
    }
    assert used.json["transaction_id"].startswith("txn_")


def test_72_same_id_and_content_answers_the_same_and_debits_once(
    client: FlaskClient, key: KeyMaker, acme: str
) -> None:
    token = key(["spend"], acme)
    body = {"id": "a", "action": "chat"}
    first, second = (client.post(USE, json=body, headers=token) for _ in range(2))
    assert second.status_code == 200
    assert second.json == first.json


def test_72_idempotency_key_stands_for_the_id(client: FlaskClient, key: KeyMaker, acme: str) -> None:
    token = key(["spend"], acme) | {"Idempotency-Key": "k-1"}
    first, second = (client.post(USE, json={"action": "chat"}, headers=token) for _ in range(2))
    assert first.json["id"] == "k-1"
    assert second.json["transaction_id"] == first.json["transaction_id"]


def test_73_same_id_with_other_content_is_409_and_changes_nothing(
    client: FlaskClient, key: KeyMaker, acme: str, money: Counts
) -> None:
    token = key(["spend"], acme)
    client.post(USE, json={"id": "a", "action": "chat"}, headers=token)
    before = money()
    response = client.post(USE, json={"id": "a", "action": "chat", "quantity": 2}, headers=token)
    assert (response.status_code, response.json["code"]) == (409, "idempotency_conflict")
    assert money() == before


def test_refusal_says_what_is_missing_and_where_to_buy(
    client: FlaskClient, key: KeyMaker, acme: str, money: Counts
) -> None:
    token = key(["spend"], acme)
    before = money()
    response = client.post(USE, json={"action": "chat", "quantity": 41}, headers=token)
    assert response.status_code == 402
    assert response.mimetype == "application/problem+json"
    facts = {name: response.json[name] for name in ("code", "binding", "needed", "available", "topup")}
    assert facts == {
        "code": "insufficient_credits",
        "binding": "balance",
        "needed": "102.5",
        "available": "100",
        "topup": "off",
    }
    assert response.json["purchase_url"] == "http://localhost:8000/billing#buy"
    assert "102.5 credits" in response.json["detail"]
    assert money() == before


def test_unknown_action_is_never_free(client: FlaskClient, key: KeyMaker, acme: str, money: Counts) -> None:
    before = money()
    response = client.post(USE, json={"action": "nobody-priced-it"}, headers=key(["spend"], acme))
    assert (response.status_code, response.json["code"]) == (422, "unknown_action")
    assert money() == before


def test_88_price_and_customer_of_a_client_are_not_taken(
    client: FlaskClient, key: KeyMaker, acme: str, money: Counts
) -> None:
    token = key(["spend", "admin"], acme)
    before = money()
    priced = client.post(USE, json={"action": "chat", "amount": "0.1"}, headers=token)
    assert (priced.status_code, priced.json["code"], priced.json["scope"]) == (403, "scope_missing", "price")
    for more in ({"price": 1}, {"amount": 1}, {"customer": "cus_1"}, {"credits": 10**9}, {"currency": "jpy"}):
        body = {"package_id": "credits_100"} | more
        response = client.post("/api/billing/checkout-sessions", json=body, headers=token)
        assert (response.status_code, response.json["code"]) == (422, "invalid_request")
    assert money() == before


@pytest.mark.parametrize("amount", ["5", "5.000001", 5])
def test_amount_with_the_scope_price(client: FlaskClient, key: KeyMaker, acme: str, amount: Any) -> None:
    response = client.post(USE, json={"amount": amount}, headers=key(["spend", "price"], acme))
    assert response.json["credits"] == str(amount)


def test_spends_at_once_never_pass_the_balance(app: Flask, key: KeyMaker, acme: str, ledger: Ledger) -> None:
    token = key(["spend"], acme)

    def spend(_: int) -> int:
        return app.test_client().post(USE, json={"action": "chat"}, headers=token).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(spend, range(50)))
    assert statuses.count(200) == 40
    assert statuses.count(402) == 10
    assert ledger.get_balance(acme)["balance"] == 0


def test_reaching_the_threshold_enqueues_a_check(
    client: FlaskClient, key: KeyMaker, acme: str, ledger: Ledger, queue: Queue
) -> None:
    _allow_topups(ledger, acme)
    queue.broker.client.flushdb()  # type: ignore[attr-defined]
    token = key(["spend"], acme)
    client.post(USE, json={"action": "chat"}, headers=token)
    assert _checks(queue) == 0
    client.post(USE, json={"action": "chat", "quantity": 25}, headers=token)
    assert _checks(queue) == 1


def _allow_topups(ledger: Ledger, account_id: str) -> None:
    ledger.link_customer(account_id, f"cus_{account_id}")
    card = {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034, "fingerprint": "f"}
    ledger.set_default_payment_method(account_id, "pm_1", card, "tests")
    ledger.set_auto_topup(
        account_id,
        {"enabled": True, "threshold": 50_000_000, "credits": 250_000_000, "text_version": "1"},
        "tests",
    )


def _checks(messages: Queue) -> int:
    name = queue.ACTORS[queue.CHECK_THRESHOLD]
    return int(messages.broker.client.llen(f"dramatiq:{name}"))  # type: ignore[attr-defined]
