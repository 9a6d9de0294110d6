"""Buying by API, Idempotency-Key, accounts, adjustments, auto top-up, rate limits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from local.embedded import Redis
from shared.errors import StripeUnavailable
from shared.ledger import Ledger
from shared.queue import Queue
from tests.support import Database
from tests.web.conftest import Counts, FakeGateway, KeyMaker, make_settings
from web import create_app

PATH = "/api/billing/checkout-sessions"
BODY = {"package_id": "credits_250", "quantity": 2}


def count(database: Database, table: str) -> int:
    with database.connect() as connection:
        row = connection.execute(f"select count(*) from billing.{table}").fetchone()
    assert row is not None
    return int(row[0])


def test_purchase_is_a_row_at_the_catalogues_price_before_stripe_is_asked(
    client: FlaskClient, key: KeyMaker, acme: str, gateway: FakeGateway, ledger: Ledger
) -> None:
    response = client.post(PATH, json=BODY, headers=key(["admin"], acme))
    assert response.status_code == 201
    assert response.json == {
        "id": response.json["id"],
        "url": f"https://checkout.stripe.com/c/{response.json['id']}",
        "credits": "500",
        "price": {"amount": 2000, "currency": "usd"},
    }
    ((payment, asked),) = gateway.sessions
    assert (payment["amount"], payment["status"], asked["customer_id"]) == (2000, "open", "cus_acme")
    back = asked["success_url"]
    assert back.startswith("http://localhost:8000/billing/return/")
    assert asked["cancel_url"] == f"{back}/canceled"
    kept = ledger.get_payment(payment["id"])
    assert kept is not None
    assert kept["stripe_checkout_session_id"] == f"cs_{payment['id']}"


def test_redirects_to_own_pages_are_taken(
    client: FlaskClient, key: KeyMaker, acme: str, gateway: FakeGateway
) -> None:
    url = "http://localhost:8000/billing?from=checkout"
    body = BODY | {"success_url": url, "cancel_url": url}
    assert client.post(PATH, json=body, headers=key(["admin"], acme)).status_code == 201
    assert gateway.sessions[0][1]["success_url"] == url


def test_unknown_package_makes_no_customer(
    client: FlaskClient, key: KeyMaker, acme: str, gateway: FakeGateway, money: Counts
) -> None:
    before = money()
    response = client.post(PATH, json={"package_id": "nope"}, headers=key(["admin"], acme))
    assert (response.status_code, response.json["code"]) == (404, "unknown_package")
    assert gateway.customers == []
    assert money() == before


def test_idempotency_key_same_body_same_answer_other_body_422(
    client: FlaskClient, key: KeyMaker, acme: str, gateway: FakeGateway
) -> None:
    token = key(["admin"], acme) | {"Idempotency-Key": "order-1"}
    first, second = (client.post(PATH, json=BODY, headers=token) for _ in range(2))
    assert (second.status_code, second.json) == (201, first.json)
    assert len(gateway.sessions) == 1
    other = client.post(PATH, json=BODY | {"quantity": 3}, headers=token)
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")
    elsewhere = client.post("/api/credits/adjustments", json={"amount": "1", "reason": "r"}, headers=token)
    assert (elsewhere.status_code, elsewhere.json["code"]) == (422, "idempotency_key_reused")
    another_caller = client.post(
        PATH, json=BODY, headers=key(["admin"], acme) | {"Idempotency-Key": "order-1"}
    )
    assert another_caller.json["id"] != first.json["id"]


def test_repeat_after_a_crash_finds_the_first_trys_payment(
    client: FlaskClient, key: KeyMaker, acme: str, gateway: FakeGateway, database: Database, monkeypatch: Any
) -> None:
    token = key(["admin"], acme) | {"Idempotency-Key": "order-1"}
    with monkeypatch.context() as patch:
        patch.setattr(gateway, "create_checkout_session", _unavailable)
        lost = client.post(PATH, json=BODY, headers=token)
    assert (lost.status_code, lost.json["code"]) == (503, "stripe_unavailable")
    assert client.post(PATH, json=BODY, headers=token).status_code == 201
    assert count(database, "payments") == 1


def _unavailable(*_: object, **__: object) -> None:
    raise StripeUnavailable("no answer")


def test_same_key_at_once_is_done_once(
    app: Flask, key: KeyMaker, acme: str, gateway: FakeGateway, database: Database
) -> None:
    token = key(["admin"], acme) | {"Idempotency-Key": "order-1"}

    def buy(_: int) -> tuple[int, str | None]:
        response = app.test_client().post(PATH, json=BODY, headers=token)
        return response.status_code, response.json.get("code")

    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(buy, range(6)))
    assert answers <= {(201, None), (409, "request_in_flight")}
    assert (201, None) in answers
    assert count(database, "payments") == 1
    assert len(gateway.sessions) == 1


@pytest.mark.parametrize("value", ["", "x" * 256, "é"])
def test_impossible_idempotency_keys_are_refused(
    client: FlaskClient, key: KeyMaker, acme: str, value: str
) -> None:
    token = key(["admin"], acme) | {"Idempotency-Key": value.encode().decode("latin-1")}
    response = client.post(PATH, json=BODY, headers=token)
    assert (response.status_code, response.json["code"]) == (400, "invalid_idempotency_key")


def test_90_too_many_checkouts_are_429_with_retry_after(
    client: FlaskClient, key: KeyMaker, acme: str, gateway: FakeGateway, ledger: Ledger
) -> None:
    token = key(["admin"])
    body = BODY | {"account_id": acme}
    statuses = [client.post(PATH, json=body, headers=token).status_code for _ in range(10)]
    refused = client.post(PATH, json=body, headers=token)
    assert statuses == [201] * 10
    assert (refused.status_code, refused.json["code"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert len(gateway.sessions) == 10
    ledger.open_account("other", "Other", None, None, 0, "tests")
    assert client.post(PATH, json=BODY | {"account_id": "other"}, headers=token).status_code == 201


def test_without_redis_the_limits_are_off_and_buying_goes_on(
    own_redis: Redis, dsn: str, ledger: Ledger, gateway: FakeGateway, key: KeyMaker, acme: str, caplog: Any
) -> None:
    app = create_app(make_settings(dsn, own_redis.url), ledger=ledger, gateway=gateway)  # type: ignore[arg-type]
    own_redis.stop()
    response = app.test_client().post(PATH, json=BODY, headers=key(["admin"], acme))
    assert response.status_code == 201
    assert "rate limits are off" in caplog.text


def test_payments_are_listed_with_their_money(client: FlaskClient, key: KeyMaker, acme: str) -> None:
    token = key(["admin", "read"], acme)
    made = client.post(PATH, json=BODY, headers=token).json["id"]
    (payment,) = client.get("/api/billing/payments", headers=token).json["data"]
    assert (payment["id"], payment["status"], payment["receipt_url"]) == (made, "open", None)
    assert (payment["price"], payment["credits"]) == ({"amount": 2000, "currency": "usd"}, "500")


def test_account_is_opened_once_with_its_signup_credits(
    client: FlaskClient, key: KeyMaker, database: Database
) -> None:
    token = key(["accounts", "read"])
    body = {"id": "new", "name": "New \N{GRINNING FACE}", "email": "a@b.example"}
    first = client.post("/api/accounts", json=body, headers=token)
    again = client.post("/api/accounts", json=body | {"name": "Other"}, headers=token)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json == first.json
    assert client.get("/api/credits/balance?account_id=new", headers=token).json["available"] == "100"


def test_account_without_an_id_is_made_once_a_key(client: FlaskClient, key: KeyMaker) -> None:
    token = key(["accounts"]) | {"Idempotency-Key": "signup-1"}
    body = {"name": "New", "email": "a@b.example"}
    first, second = (client.post("/api/accounts", json=body, headers=token) for _ in range(2))
    assert first.json["account_id"].startswith("acc_")
    assert (second.status_code, second.json) == (201, first.json)


def test_adjustments_are_booked_once(client: FlaskClient, key: KeyMaker, acme: str, ledger: Ledger) -> None:
    path, token = "/api/credits/adjustments", key(["admin"], acme)
    body = {"amount": "-12.5", "reason": "charged twice", "actor": "dana"}
    keyed = token | {"Idempotency-Key": "a1"}
    first, second = (client.post(path, json=body, headers=keyed) for _ in range(2))
    assert (first.status_code, first.json["balance"]) == (201, "87.5")
    assert second.json == first.json
    assert ledger.get_balance(acme)["balance"] == 87_500_000


def test_auto_topup_needs_consent_and_names_the_key_and_off_always_works(
    client: FlaskClient, key: KeyMaker, acme: str, ledger: Ledger, queue: Queue
) -> None:
    path, token = "/api/billing/auto-topup", key(["admin", "read"], acme)
    wanted = {"enabled": True, "threshold": "50", "mode": "fixed", "amount": "250"}
    caps = {"day": {"amount": 5000, "currency": "usd"}, "per_hour": 2}
    refused = client.put(path, json=wanted, headers=token)
    assert (refused.status_code, refused.json["code"]) == (422, "consent_required")
    on = client.put(path, json=wanted | {"caps": caps, "consent": {"text_version": "1"}}, headers=token)
    assert on.status_code == 200
    state = client.get(path, headers=token).json
    assert (state["enabled"], state["threshold"], state["amount"], state["target"]) == (
        True,
        "50",
        "250",
        None,
    )
    assert state["caps"]["day"] == {"amount": 5000, "currency": "usd"}
    assert state["consent"]["actor"] == "api_key:tests"
    endless = wanted | {"mode": "target", "amount": "40", "consent": {"text_version": "1"}}
    loop = client.put(path, json=endless, headers=token)
    assert (loop.status_code, loop.json["code"]) == (422, "invalid_auto_topup")
    off = client.put(path, json={"enabled": False}, headers=token)
    assert (off.status_code, off.json["enabled"]) == (200, False)
