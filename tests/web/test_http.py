"""Problems, headers, health, metrics, the OpenAPI document and the documentation."""

from __future__ import annotations

import re
from typing import Any

import hypothesis
import pytest
import schemathesis
import stripe
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from schemathesis import checks
from schemathesis.specs.openapi import checks as specs

from local.embedded import Redis
from local.stripe.app import LocalStripe
from shared import db, usage_events
from shared.ledger import Ledger
from shared.queue import Queue
from shared.seals import Sealer
from shared.settings import Settings
from shared.stripe_client import StripeGateway
from tests.support import Database, free_port
from tests.web.conftest import ALL_SCOPES, Counts, KeyMaker, make_settings
from web import create_app
from web.endpoints import REGISTRY
from web.security import payment_policy

CHECKS = (
    checks.not_a_server_error,
    specs.status_code_conformance,
    specs.content_type_conformance,
    specs.response_schema_conformance,
)
NOT_OF_THE_API = re.compile(r"/$|/(static|billing|local|sign-in)(/|$)")


def test_unknown_address_and_method_are_problems(client: FlaskClient) -> None:
    missing = client.get("/api/nothing")
    assert (missing.status_code, missing.mimetype, missing.json["code"]) == (
        404,
        "application/problem+json",
        "not_found",
    )
    wrong = client.delete("/api/credits/use")
    assert (wrong.status_code, wrong.json["code"]) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["Allow"]


def test_unexpected_failure_is_a_problem_without_details(
    app: Flask, key: KeyMaker, acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("secret detail")

    monkeypatch.setattr(Ledger, "get_balance", fail)
    response = app.test_client().get("/api/credits/balance", headers=key(["read"], acme))
    assert (response.status_code, response.json["code"]) == (500, "internal_error")
    assert "secret detail" not in response.text


@pytest.mark.parametrize("path", ["/healthz", "/billing", "/api/nothing", "/docs", "/static/refill.css"])
def test_every_answer_carries_the_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in headers


def test_production_lets_forms_lead_to_stripes_pages_and_stripe_js_to_its_own_frames(
    dsn: str, redis_url: str
) -> None:
    settings = make_settings(dsn, redis_url, REFILL_ENV="production", BASE_URL="https://refill.example")
    policy = create_app(settings).test_client().get("/billing").headers["Content-Security-Policy"]
    assert "form-action 'self' https://checkout.stripe.com https://billing.stripe.com;" in policy
    assert "js.stripe.com" not in policy
    paying = payment_policy(settings)
    assert "script-src 'self' https://js.stripe.com https://*.js.stripe.com;" in paying
    assert "frame-src https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com;" in paying


@pytest.mark.parametrize("method", ["get", "post"])
def test_unknown_addresses_are_pages_where_pages_are(client: FlaskClient, method: str) -> None:
    for path in ("/billing/nothing", "/ops/nothing", "/sign-in/nothing"):
        answer = getattr(client, method)(path)
        assert (answer.status_code, answer.mimetype) == (404, "text/html")
        assert "There is no such page" in answer.text
    assert getattr(client, method)("/api/nothing").mimetype == "application/problem+json"
    assert client.get("/billing/auto-topup/off").mimetype == "text/html"


def test_production_has_hsts_and_secure_cookies_and_no_local_login(dsn: str, redis_url: str) -> None:
    settings = make_settings(dsn, redis_url, REFILL_ENV="production", BASE_URL="https://refill.example")
    app = create_app(settings)
    client = app.test_client()
    assert "max-age=" in client.get("/healthz").headers["Strict-Transport-Security"]
    assert app.config["SESSION_COOKIE_SECURE"]
    assert app.config["SESSION_COOKIE_HTTPONLY"]
    assert client.get("/local/login?token=x").status_code == 404


def test_ready_when_everything_answers_and_a_scheduler_fired(client: FlaskClient, ledger: Ledger) -> None:
    before = client.get("/readyz")
    assert (before.status_code, before.json["parts"]["scheduler"]) == (503, "has not fired yet")
    ledger.claim_slot("sweep", 60)
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["status"]) == (200, "ok")


def test_not_ready_names_what_is_away(own_redis: Redis, empty_database: Database) -> None:
    settings = make_settings(empty_database.dsn, own_redis.url)
    seam = db.connect(settings)
    client = create_app(settings, ledger=Ledger(seam)).test_client()
    own_redis.stop()
    parts = client.get("/readyz").json["parts"]
    seam.close()
    assert parts["postgres"] == "ok"
    assert parts["schema"].startswith("missing")
    assert parts["redis"] == "away"


def test_not_ready_while_the_database_takes_no_changes(database: Database, redis_url: str) -> None:
    with database.connect() as connection:
        connection.execute(
            f'alter database "{database.name}" set default_transaction_read_only = on'.encode()
        )
    for more in ("", "?target_session_attrs=any"):
        seam = db.connect(make_settings(database.dsn + more, redis_url))
        client = create_app(make_settings(database.dsn, redis_url), ledger=Ledger(seam)).test_client()
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json["parts"]["postgres"]) == (503, "read-only")
        seam.close()


@pytest.mark.parametrize(
    "missing", ["spend_credits", "settle_payment", "operations_summary", "missing_functions"]
)
def test_not_ready_while_a_function_of_this_version_is_missing(
    client: FlaskClient, ledger: Ledger, database: Database, missing: str
) -> None:
    ledger.claim_slot("sweep", 60)
    assert client.get("/readyz").status_code == 200
    with database.connect() as connection:
        connection.execute(f"alter function billing.{missing} rename to former".encode())
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["parts"]["schema"].startswith("missing: ")
    assert "flask --app web migrate" in answer.json["parts"]["schema"]


@pytest.mark.parametrize("sqlstate", ["25006", "42501", "58030", "XX000", "XX001", "0A000", "40003", "23505"])
def test_what_the_database_fails_with_is_503_with_retry_after(
    client: FlaskClient,
    key: KeyMaker,
    acme: str,
    database: Database,
    money: Counts,
    sqlstate: str,
) -> None:
    headers, before = key(), money()
    with database.connect() as connection:
        connection.execute(
            "create function billing.probe_failure() returns trigger language plpgsql as $$ begin"
            f" raise exception using errcode = '{sqlstate}', message = 'a secret of the server'; end $$;"
            "create trigger probe_failure before insert on billing.credit_usage_keys for each row"
            " execute function billing.probe_failure()".encode()
        )
    event = {"account_id": acme, "id": "u1", "amount": "1"}
    for path, body in (("use", event), ("usage", [event])):
        answer = client.post(f"/api/credits/{path}", json=body, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (503, "database_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert "secret" not in answer.text
    assert money() == before
    with database.connect() as connection:
        connection.execute("drop trigger probe_failure on billing.credit_usage_keys")
    assert client.post("/api/credits/use", json=event, headers=headers).status_code == 200


def test_without_postgres_it_is_alive_but_not_ready_and_calls_are_503(redis_url: str) -> None:
    settings = make_settings(f"postgresql://nobody@127.0.0.1:{free_port()}/none", redis_url)
    seam = db.connect(settings)
    client = create_app(settings, ledger=Ledger(seam)).test_client()
    assert client.get("/healthz").status_code == 200
    response = client.get("/api/credits/balance", headers={"Authorization": "Bearer rk_" + "0" * 48})
    assert (response.status_code, response.json["code"]) == (503, "database_unavailable")
    assert "Retry-After" in response.headers
    seam.close()


def test_metrics_tell_of_tables_and_queues(client: FlaskClient, queue: Queue, ledger: Ledger) -> None:
    queue.enqueue("process_event", "evt_1")
    ledger.claim_slot("sweep", 60)
    text = client.get("/metrics").text
    assert 'refill_queue_waiting{queue="events"} 1.0' in text
    assert 'refill_queue_oldest_age_seconds{queue="events"}' in text
    assert "refill_events_parked 0.0" in text
    assert 'refill_job_age_seconds{job="sweep"}' in text
    assert 'refill_up{part="postgres"} 1.0' in text


def test_openapi_has_every_route_and_no_other(app: Flask, client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    described = {(m.upper(), path) for path, methods in document["paths"].items() for m in methods}
    served = {
        (method, re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not NOT_OF_THE_API.match(rule.rule)
    }
    assert described == served


def test_openapi_is_valid_and_its_examples_too(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    schemathesis.openapi.from_dict(document)
    ids = [op["operationId"] for methods in document["paths"].values() for op in methods.values()]
    assert len(ids) == len(set(ids))
    for declared in REGISTRY:
        if declared.body and declared.example:
            declared.body.model_validate(declared.example)


def test_schemas_of_usage_name_the_fields_that_are_checked(client: FlaskClient) -> None:
    schemas = client.get("/openapi.json").json["components"]["schemas"]
    assert set(schemas["UsageIn"]["properties"]) == usage_events._FIELDS


def test_documentation_page_has_every_endpoint(client: FlaskClient) -> None:
    page = client.get("/docs").text
    assert all(declared.path in page for declared in REGISTRY)
    assert "<script" not in page


def test_catalogue_is_public(client: FlaskClient) -> None:
    packages: list[Any] = client.get("/api/billing/packages").json["data"]
    assert [(row["credits"], row["price"]) for row in packages] == [
        ("100", {"amount": 500, "currency": "usd"}),
        ("250", {"amount": 1000, "currency": "usd"}),
        ("600", {"amount": 2000, "currency": "usd"}),
    ]
    assert len(client.get("/api/billing/plans").json["data"]) >= 3
    assert client.get("/api/billing/actions").json["data"]


@pytest.mark.slow
def test_generated_requests_are_answered_as_documented(
    settings: Settings, ledger: Ledger, queue: Queue, key: KeyMaker, acme: str
) -> None:
    """No 5xx, no undocumented status or content type, no answer that its schema does not allow."""
    with LocalStripe.start() as server:
        client = stripe.StripeClient("sk_test_web", base_addresses={"api": server.url})
        app = create_app(
            settings, ledger=ledger, queue=queue, gateway=StripeGateway(client, Sealer("a test key"))
        )
        generate_requests(app, key(ALL_SCOPES, acme))
        assert server.control.violations() == []


def generate_requests(app: Flask, token: dict[str, str]) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    checked = 0
    for operation in (found.ok() for found in schema.get_all_operations()):
        if operation.path == "/readyz":  # 503 is its answer as long as no scheduler runs
            continue

        @hypothesis.settings(
            max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        @hypothesis.given(case=operation.as_strategy())
        def check(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=token, checks=CHECKS)

        check()
        checked += 1
    assert checked > 15


def test_the_address_of_the_site_leads_to_the_billing_page(client: FlaskClient) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/billing")
