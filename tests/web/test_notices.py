"""Endpoints of webhooks, preferences and levels over HTTP and on the command line, over the real ledger."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dramatiq.brokers.redis import RedisBroker
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared import notices, webhook_urls
from shared.errors import Refused
from shared.ledger import Ledger
from shared.queue import Queue
from shared.settings import Settings
from tests.support import Database
from tests.web.conftest import ALL_SCOPES, Counts, KeyMaker
from tests.web.test_cli import run
from web.endpoints import REGISTRY

HOOKS, PREFERENCES, LEVELS = (
    "/api/billing/webhook-endpoints",
    "/api/billing/notice-preferences",
    "/api/credits/low-balance-levels",
)
URL = "https://platform.example/hook?token=t"
REQUIRED = {
    "account.grace", "account.paused", "dispute.opened", "payment.action_required", "topup.action_required", "topup.paused",
}  # fmt: skip
Token = dict[str, str]


@pytest.fixture
def token(key: KeyMaker, acme: str) -> Token:
    """An unbound key."""
    return key(ALL_SCOPES)


@pytest.fixture
def own(key: KeyMaker, acme: str) -> Token:
    """A key that is bound to the account."""
    return key(ALL_SCOPES, acme)


def register(client: FlaskClient, token: Token, **body: Any) -> TestResponse:
    return client.post(HOOKS, json={"url": URL} | body, headers=token)


def listed(client: FlaskClient, token: Token, query: str = "") -> list[str]:
    return [row["id"] for row in client.get(HOOKS + query, headers=token).json["data"]]


def test_secret_is_shown_when_it_is_made_and_never_again(
    client: FlaskClient, token: Token, database: Database
) -> None:
    made = register(client, token, topics=["topup.paused", "balance.low", "balance.low"])
    assert made.status_code == 201
    secret, number = made.json["secret"], made.json["id"]
    assert secret.startswith("whsec_")
    assert (made.json["account_id"], made.json["topics"]) == (None, ["balance.low", "topup.paused"])
    path = f"{HOOKS}/{number}"
    answers = [
        client.get(HOOKS, headers=token),
        client.post(f"{path}/test", headers=token),
        client.get(f"{path}/deliveries", headers=token),
        client.post(f"{path}/enable", headers=token),
        client.post(f"{path}/replay", json={"since": "2100-01-01T00:00:00Z"}, headers=token),
    ]
    assert [answer.status_code for answer in answers] == [200, 201, 200, 200, 200]
    rolled = client.post(f"{path}/roll-secret", headers=token).json["secret"]
    assert rolled not in (secret, None)
    answers.append(client.delete(path, headers=token))
    assert not any(word in answer.text for answer in answers for word in (secret, rolled, "whsec"))
    with database.connect() as connection:
        kept = connection.execute(
            "select string_agg(r::text, '') from billing.idempotent_requests r"
        ).fetchone()
    assert "whsec" not in str(kept)


def test_repeat_of_a_registration_makes_no_second_one_and_shows_no_secret(
    client: FlaskClient, token: Token
) -> None:
    once = token | {"Idempotency-Key": "k"}
    first, again = register(client, once), register(client, once)
    assert (again.status_code, again.json["id"], again.json["secret"]) == (201, first.json["id"], None)
    assert first.json["secret"]
    other = register(client, once, url="https://other.example/")
    assert (other.status_code, other.json["code"]) == (409, "idempotency_conflict")
    assert len(listed(client, token)) == 1


def test_key_of_an_account_manages_that_accounts_endpoints_alone(
    client: FlaskClient, token: Token, own: Token, ledger: Ledger, money: Counts
) -> None:
    ledger.open_account("other", "Other", None, None, 0, "tests")
    mine = register(client, own).json
    platform, others = (
        register(client, token).json["id"],
        register(client, token, account_id="other").json["id"],
    )
    assert mine["account_id"] == "acme"
    assert listed(client, own) == [mine["id"]]
    assert set(listed(client, token)) == {mine["id"], platform, others}
    assert listed(client, token, "?account_id=other") == [others]
    before = money()
    for number in (platform, others):
        for method, more, body in (
            ("DELETE", "", None),
            ("POST", "/enable", None),
            ("POST", "/test", None),
            ("POST", "/roll-secret", None),
            ("POST", "/replay", {"since": "2100-01-01T00:00:00Z"}),
            ("GET", "/deliveries", None),
        ):
            answer = client.open(f"{HOOKS}/{number}{more}", method=method, json=body, headers=own)
            assert (answer.status_code, answer.json["code"]) == (404, "not_found"), (method, more)
    assert client.get(f"{HOOKS}?account_id=other", headers=own).status_code == 404
    assert money() == before


def test_test_is_on_the_queue_and_in_the_deliveries(client: FlaskClient, token: Token, queue: Queue) -> None:
    path = f"{HOOKS}/{register(client, token).json['id']}"
    sent = client.post(f"{path}/test", headers=token).json
    assert (sent["topic"], sent["state"], sent["attempts"]) == ("webhook.test", "pending", 0)
    assert sent["webhook_id"].startswith("msg_")
    assert isinstance(queue.broker, RedisBroker)
    assert queue.broker.client.llen("dramatiq:notifications") == 1
    for _ in range(2):
        client.post(f"{path}/test", headers=token)
    first = client.get(f"{path}/deliveries?limit=2", headers=token).json
    rest = client.get(f"{path}/deliveries?limit=2&cursor={first['next_cursor']}", headers=token).json
    seen = [row["id"] for row in first["data"] + rest["data"]]
    assert (len(set(seen)), seen[-1], rest["next_cursor"]) == (3, sent["id"], None)
    wrong = client.get(f"{path}/deliveries?cursor=x", headers=token)
    assert (wrong.status_code, wrong.json["code"]) == (422, "invalid_value")


def test_tests_of_webhooks_are_limited_so_that_nobody_is_flooded(client: FlaskClient, own: Token) -> None:
    path = f"{HOOKS}/{register(client, own).json['id']}/test"
    assert [client.post(path, headers=own).status_code for _ in range(11)][-2:] == [201, 429]


WRONG = [
    "ftp://a.example/", "http://platform.example/", "https://", "https://user:pw@a.example/", "https://a.example/#x",
    "https://a.example:99999/", "https://[::1/", "//a.example/", "https://ä.example/", "https://a b.example/",
    "https://a\\b.example/", "javascript:alert(1)", "https://a.example/" + "x" * 2000,
]  # fmt: skip
WITHIN = ["https://localhost/", "https://127.0.0.1/", "https://10.1.2.3/", "https://[::ffff:10.0.0.1]/", "http://localhost/",
          "https://169.254.169.254/latest", "https://[fd00::1]/"]  # fmt: skip


@pytest.mark.parametrize("url", WRONG)
def test_odd_urls_are_refused(client: FlaskClient, token: Token, money: Counts, url: str) -> None:
    before = money()
    answer = register(client, token, url=url)
    assert (answer.status_code, answer.json["code"] in ("invalid_value", "invalid_request")) == (422, True)
    assert money() == before


@pytest.mark.parametrize("url", WITHIN)
def test_addresses_within_are_refused_in_production_and_loopback_is_not_elsewhere(
    settings: Settings, url: str
) -> None:
    with pytest.raises(Refused, match="URL of the endpoint"):
        webhook_urls.check(settings.model_copy(update={"environment": "production"}), url)
    assert webhook_urls.check(settings, url) == url


def test_preferences_list_every_topic_and_which_may_be_switched_off(
    client: FlaskClient, token: Token
) -> None:
    rows = client.get(f"{PREFERENCES}?account_id=acme", headers=token).json["data"]
    assert [row["topic"] for row in rows] == notices.ACCOUNT_TOPICS
    assert {row["topic"] for row in rows if row["required"]} == REQUIRED
    assert all(row["enabled"] and row["default"] and row["description"].endswith(".") for row in rows)


def test_mail_is_switched_off_and_on_for_one_account(
    client: FlaskClient, token: Token, ledger: Ledger
) -> None:
    ledger.open_account("other", "Other", None, None, 0, "tests")
    wanted = {"account_id": "acme", "topic": "topup.succeeded", "enabled": False}
    for enabled in (False, False, True):
        rows = client.put(PREFERENCES, json=wanted | {"enabled": enabled}, headers=token).json["data"]
        assert {row["topic"] for row in rows if not row["enabled"]} == (
            set() if enabled else {"topup.succeeded"}
        )
    rows = client.get(f"{PREFERENCES}?account_id=other", headers=token).json["data"]
    assert all(row["enabled"] for row in rows)


@pytest.mark.parametrize("topic", sorted(REQUIRED))
def test_mail_without_which_nothing_goes_on_stays(
    client: FlaskClient, token: Token, money: Counts, topic: str
) -> None:
    before = money()
    wanted = {"account_id": "acme", "topic": topic, "enabled": False}
    answer = client.put(PREFERENCES, json=wanted, headers=token)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_value")
    assert money() == before


def test_levels_are_set_shown_and_used(client: FlaskClient, token: Token, database: Database) -> None:
    assert client.get(f"{LEVELS}?account_id=acme", headers=token).json["levels"] == ["20", "0"]
    answer = client.put(LEVELS, json={"account_id": "acme", "levels": ["0", "97.5", 50]}, headers=token)
    assert (answer.status_code, answer.json) == (200, {"account_id": "acme", "levels": ["97.5", "50", "0"]})
    client.post("/api/credits/use", json={"account_id": "acme", "action": "chat"}, headers=token)
    with database.connect() as connection:
        found = connection.execute(
            "select payload from billing.outbox where topic = 'balance.low'"
        ).fetchall()
    assert [row[0]["level"] for row in found] == [97_500_000]
    balance = client.get("/api/credits/balance?account_id=acme", headers=token).json
    assert balance["low"] is True
    assert client.put(LEVELS, json={"account_id": "acme", "levels": []}, headers=token).json["levels"] == []


def test_command_line_manages_endpoints(app: Flask, ledger: Ledger, acme: str) -> None:
    made = run(app, "webhooks", "create", URL, "--account", acme, "--topic", "balance.low")
    assert made.exit_code == 0, made.output
    number, secret = made.output.split()[0], made.output.splitlines()[-1]
    assert secret.startswith("whsec_")
    shown = json.loads(run(app, "webhooks", "list", "--account", acme).output)
    assert (shown["id"], shown["topics"]) == (number, ["balance.low"])
    assert secret not in run(app, "webhooks", "list").output
    assert run(app, "webhooks", "test", number).exit_code == 0
    assert "webhook.test" in run(app, "notices", "list", "--state", "pending").output
    assert run(app, "webhooks", "enable", number).exit_code == 0
    assert run(app, "webhooks", "delete", number).exit_code == 0
    again = run(app, "webhooks", "delete", number)
    assert (again.exit_code, "not_found" in again.output) == (1, True)
    assert run(app, "webhooks", "create", "ftp://a.example").exit_code == 1
    assert run(app, "webhooks", "create", URL, "--account", "nobody").exit_code == 1


def test_command_line_replays_notices(app: Flask, ledger: Ledger, acme: str) -> None:
    ledger.record_usage([{"id": "u", "amount": 95_000_000}], acme)
    ledger.plan_notices(10, [], [])
    (row,) = ledger.list_notices(None, 10)
    ledger.claim_notice(row["id"], ["mail"])
    ledger.finish_notice(row["id"], "failed", "odd")
    assert "odd" in run(app, "notices", "list", "--state", "failed").output
    assert "1 due again" in run(app, "notices", "replay", "--failed").output
    assert "1 due again" in run(app, "notices", "replay", str(row["id"])).output
    assert "0 due again" in run(app, "notices", "replay", "--failed").output
    assert run(app, "notices", "replay", "999999").exit_code == 1
    assert run(app, "notices", "replay").exit_code == 2
    assert run(app, "notices", "replay", "1", "--failed").exit_code == 2


def test_topics_of_the_document_are_those_of_the_list() -> None:
    bodies = [
        declared.body for declared in REGISTRY if declared.path in (HOOKS, PREFERENCES) and declared.body
    ]
    for body in bodies:
        assert all(topic in json.dumps(body.model_json_schema()) for topic in notices.ACCOUNT_TOPICS)
