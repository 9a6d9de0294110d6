"""The webhook receiver: really signed bodies, and every way in which they may be wrong."""

from __future__ import annotations

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from local.embedded import Redis
from shared import db, queue
from shared.ledger import Ledger
from shared.queue import Queue
from tests.support import Database, free_port
from tests.web.conftest import event, make_settings, signature
from web import create_app

PATH = "/api/webhooks/stripe"


def deliver(client: FlaskClient, body: bytes, header: str | None = None, **more: Any) -> Any:
    return client.post(PATH, data=body, headers={"Stripe-Signature": header or signature(body)}, **more)


def stored(database: Database) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(
            "select id, state, reason from billing.stripe_events order by id"
        ).fetchall()


def waiting(events: Queue) -> int:

    return sum(events.broker.client.llen(f"dramatiq:{name}") for name in queue.QUEUES)  # type: ignore[attr-defined]


def test_01_same_event_twice_is_one_row_and_both_200(client: FlaskClient, database: Database) -> None:
    body = event()
    assert [deliver(client, body).status_code for _ in range(2)] == [200, 200]
    assert stored(database) == [("evt_1", "received", None)]


def test_01_known_but_unfinished_event_is_enqueued_again(
    client: FlaskClient, queue: Queue, ledger: Ledger
) -> None:
    deliver(client, event())
    deliver(client, event())
    assert waiting(queue) == 2
    ledger.finish_stripe_event("evt_1", "done", None)
    deliver(client, event())
    assert waiting(queue) == 2


def test_02_same_event_on_20_connections_is_one_row(app: Flask, database: Database) -> None:
    body = event()
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: deliver(app.test_client(), body).status_code, range(20)))
    assert statuses == [200] * 20
    assert len(stored(database)) == 1


@pytest.mark.parametrize("path", [PATH, "/api/webhook/stripe", "/api/billing/stripe/webhook"])
def test_all_three_addresses_receive(client: FlaskClient, database: Database, path: str) -> None:
    body = event()
    assert client.post(path, data=body, headers={"Stripe-Signature": signature(body)}).status_code == 200
    assert len(stored(database)) == 1


@pytest.mark.parametrize("shift", [-301, 301, 86_400 * 365])
def test_06_07_stale_or_future_signature_is_refused(
    client: FlaskClient, database: Database, shift: int
) -> None:
    body = event()
    response = deliver(client, body, signature(body, at=time.time() + shift))
    assert (response.status_code, response.json["code"]) == (400, "invalid_signature")
    assert stored(database) == []


@pytest.mark.parametrize("shift", [-290, 290])
def test_signature_within_the_tolerance_is_taken(client: FlaskClient, shift: int) -> None:
    body = event()
    assert deliver(client, body, signature(body, at=time.time() + shift)).status_code == 200


def test_08_forged_or_foreign_secret_is_refused_and_logged(
    client: FlaskClient, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    body = event()
    assert deliver(client, body, signature(body, "whsec_other")).status_code == 400
    assert deliver(client, body + b" ", signature(body)).status_code == 400
    assert stored(database) == []
    assert sum("webhook refused" in record.message for record in caplog.records) == 2


def test_09_malformed_signature_headers_are_400_and_never_500(
    client: FlaskClient, database: Database
) -> None:
    body = event()
    good = signature(body)
    digest = good.partition("v1=")[2]
    stamp = int(time.time())
    for header in (
        "",
        " ",
        ",",
        "=",
        "t",
        "t=",
        "v1=",
        f"t={stamp}",
        f"v1={digest}",
        f"t=x,v1={digest}",
        f"t=-1,v1={digest}",
        f"t={'9' * 5000},v1={digest}",
        f"t={stamp},v1=é",
        f"t=\N{FULLWIDTH DIGIT ONE},v1={digest}",
        f"t={stamp},v0={digest}",
        f"{good},{good}",
        f"t={stamp},{good}",
        f"t={stamp},v1={digest}x",
        f"t={stamp}," + ",".join([f"v1={'0' * 64}"] * 50),
    ):
        response = client.post(
            PATH, data=body, headers={"Stripe-Signature": header.encode().decode("latin-1")}
        )
        assert response.status_code == 400, header
    assert client.post(PATH, data=body).status_code == 400
    twice = client.post(PATH, data=body, headers=[("Stripe-Signature", good), ("Stripe-Signature", good)])
    assert twice.status_code == 400
    assert stored(database) == []


def test_10_either_of_two_secrets_and_either_of_two_signatures(
    dsn: str, redis_url: str, ledger: Ledger, queue: Queue
) -> None:
    settings = make_settings(dsn, redis_url, STRIPE_WEBHOOK_SECRET="whsec_old, whsec_new")
    client = create_app(settings, ledger=ledger, queue=queue).test_client()
    body = event()
    for secret in ("whsec_old", "whsec_new"):
        assert deliver(client, body, signature(body, secret)).status_code == 200
    good = signature(body, "whsec_new")
    stamp, _, digest = good.partition(",v1=")
    assert deliver(client, body, f"{stamp},v1={'0' * 64},v1={digest}").status_code == 200


def test_11_oversize_or_chunked_bodies_are_refused_unread(client: FlaskClient, database: Database) -> None:
    body = event(pad="x" * 10_000_000)
    response = deliver(client, body)
    assert (response.status_code, response.json["code"]) == (413, "body_too_large")
    chunked = client.post(
        PATH, environ_overrides={"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    )
    assert (chunked.status_code, chunked.json["code"]) == (411, "length_required")
    assert stored(database) == []


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe{}",
        b"{",
        b"",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b"{}",
        b'{"id": "evt_\\u0000"}',
        b'{"id": 7}',
        b'{"id": "pi_1"}',
        b'{"id": "evt_' + b"x" * 300 + b'"}',
        b"9" * 5000,
    ],
)
def test_12_13_signed_but_unreadable_is_400_and_an_error_in_the_log(
    client: FlaskClient, database: Database, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    response = deliver(client, body)
    assert (response.status_code, response.json["code"]) == (400, "invalid_event")
    assert any(record.levelno == logging.ERROR for record in caplog.records)
    assert stored(database) == []


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (b'"odd": NaN', "not_a_number"),
        (b'"odd": -Infinity', "not_a_number"),
        (b'"odd": "\\u0000"', "odd_characters"),
        (b'"odd": {"a": ["\\ud800"]}', "odd_characters"),
        (b'"livemode": false', "duplicate_keys"),
    ],
)
def test_14_signed_but_odd_is_kept_as_it_came_and_parked(
    client: FlaskClient, database: Database, queue: Queue, odd: bytes, reason: str
) -> None:
    body = event()[:-1] + b", " + odd + b"}"
    assert deliver(client, body).status_code == 200
    assert stored(database) == [("evt_1", "parked", f"odd_json:{reason}")]
    with database.connect() as connection:
        assert connection.execute("select payload from billing.stripe_events").fetchone() == (body,)
    assert waiting(queue) == 0


def test_escapes_that_are_ordinary_text_are_not_odd(client: FlaskClient, database: Database) -> None:
    body = event()[:-1] + b', "note": "\\ud83d\\ude00 and \\\\u0000"}'
    assert deliver(client, body).status_code == 200
    assert stored(database) == [("evt_1", "received", None)]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"object": "v2.core.event", "created": "2026-11-20T20:00:00Z", "data": None}, "thin_event"),
        ({"object": "v2.core.event", "data": {}, "related_object": {"id": "pi_1"}}, "thin_event"),
        ({"livemode": True}, "livemode"),
        ({"livemode": "no"}, "not_an_event"),
        ({"account": "acct_other"}, "other_account"),
        ({"context": "acct_other"}, "other_account"),
        ({"object": "charge"}, "not_an_event"),
        ({"type": None}, "not_an_event"),
        ({"type": "x" * 300}, "not_an_event"),
    ],
)
def test_15_16_17_events_that_are_not_for_us_are_kept_and_parked(
    client: FlaskClient, database: Database, queue: Queue, more: dict[str, Any], reason: str
) -> None:
    assert deliver(client, event(**more)).status_code == 200
    assert stored(database) == [("evt_1", "parked", reason)]
    assert waiting(queue) == 0


@pytest.mark.parametrize(
    "more", [{"data": []}, {"data": {"object": 1}}, {"created": 10**30}, {"created": True}]
)
def test_odd_shapes_of_an_event_are_kept(
    client: FlaskClient, database: Database, more: dict[str, Any]
) -> None:
    assert deliver(client, event(**more)).status_code == 200
    assert stored(database) == [("evt_1", "received", None)]


def test_18_unknown_event_type_is_200(client: FlaskClient, database: Database) -> None:
    assert deliver(client, event(type="something.new")).status_code == 200
    assert len(stored(database)) == 1


def test_19_postgres_down_is_503_so_that_stripe_sends_again(redis_url: str) -> None:
    settings = make_settings(f"postgresql://nobody@127.0.0.1:{free_port()}/none", redis_url)
    database = db.connect(settings)
    client = create_app(settings, ledger=Ledger(database)).test_client()
    response = deliver(client, event())
    database.close()
    assert (response.status_code, response.json["code"]) == (503, "database_unavailable")
    assert int(response.headers["Retry-After"]) > 0


def test_20_redis_down_is_200_and_the_row_stands(own_redis: Redis, dsn: str, database: Database) -> None:
    settings = make_settings(dsn, own_redis.url)
    seam = db.connect(settings)
    client = create_app(settings, ledger=Ledger(seam)).test_client()
    own_redis.stop()
    response = deliver(client, event())
    seam.close()
    assert response.status_code == 200
    assert stored(database) == [("evt_1", "received", None)]


def test_94_no_secret_and_no_body_stands_in_the_log(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "pi_1_secret_veryprivate"
    body = event(data={"object": {"id": "pi_1", "client_secret": secret}})
    deliver(client, body)
    deliver(client, body, signature(body, "whsec_other"))
    deliver(client, json.dumps([secret]).encode())
    assert secret not in caplog.text
    assert "whsec_" not in caplog.text
