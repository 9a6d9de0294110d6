"""Webhooks out: signed so that the library verifies them, tried again after failures, and to no address within."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from standardwebhooks import Webhook

from shared import keys, notices, pay_links
from tests.support import free_port
from tests.workers.receivers import Receiver, receiver, status
from tests.workers.test_mail import PAYLOADS
from tests.workers.world import ACCOUNT, CREDIT, World
from workers import delivery, maintenance, outgoing
from workers.app import App

SECRET = keys.new_webhook_secret()


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def register(world: World, url: str, account: str | None = None, topics: list[str] | None = None) -> str:
    number = keys.new_id("whe")
    world.ledger.create_webhook_endpoint(number, account, url, topics, SECRET, "test")
    return number


def notify(world: World, topic: str = "topup.declined", account: str = ACCOUNT) -> int:
    """A new notice and its only delivery by webhook."""
    world.query(
        "select billing._notify(%s, %s, %s, %s)", account, topic, keys.new_id("k"), Jsonb(PAYLOADS[topic])
    )
    delivery.plan(world.app, 100)
    found = "select max(id) as id from billing.notice_deliveries where channel = 'webhook'"
    return int(world.query(found)[0]["id"] or 0)


def row(world: World, number: int) -> dict[str, Any]:
    return world.query("select * from billing.notice_deliveries where id = %s", number)[0]


def send(world: World, number: int) -> tuple[str, str | None]:
    """One try, its wait being over; what became of it."""
    world.query("update billing.notice_deliveries set next_attempt_at = now() where id = %s", number)
    delivery.send_notice(world.app, number)
    after = row(world, number)
    return after["state"], after["reason"]


def in_production(world: World) -> World:
    settings = world.app.settings.model_copy(update={"environment": "production"})
    world.app = App(settings, world.ledger, world.stripe, world.queue)
    return world


def test_webhook_is_signed_as_the_library_verifies_and_says_what_happened(
    world: World, hook: Receiver
) -> None:
    register(world, hook.url)
    number = notify(world)
    assert send(world, number) == ("sent", None)
    (request,) = hook.requests
    event = Webhook(SECRET).verify(request.body, request.headers)
    assert event["type"] == "topup.declined"
    assert event["timestamp"].startswith("20")
    assert event["data"] == {
        "account_id": ACCOUNT,
        "payment_id": "pay_1",
        "credits": "100.5",
        "amount": 1050,
        "currency": "usd",
    }
    assert request.headers["webhook-id"] == f"msg_{row(world, number)['notice_id']}"
    assert request.headers["Content-Type"] == "application/json"
    changed = request.body.replace(b"1050", b"1051")
    with pytest.raises(Exception, match="signature"):
        Webhook(SECRET).verify(changed, request.headers)


@pytest.mark.parametrize("topic", notices.ACCOUNT_TOPICS)
def test_webhook_of_every_topic_carries_its_fields_and_nothing_that_is_ours(
    world: World, hook: Receiver, topic: str
) -> None:
    register(world, hook.url)
    payload = PAYLOADS[topic] | {
        "stripe_customer_id": "cus_secret",
        "decline_code": "stolen_card",
        "facts": {},
    }
    world.query("select billing._notify(%s, %s, 'k', %s)", ACCOUNT, topic, Jsonb(payload))
    delivery.plan(world.app, 10)
    assert send(world, row_of(world, topic)) == ("sent", None)
    data = json.loads(hook.requests[0].body)["data"]
    extra = {"pay_url"} if topic.endswith(".action_required") else set()
    assert set(data) <= {"account_id", *notices.TOPICS[topic].fields} | extra
    assert set(PAYLOADS[topic]) & set(notices.TOPICS[topic].fields) <= set(data)
    for name in ("credits", "available", "level", "used"):
        assert isinstance(data.get(name, ""), str)
    assert "stolen_card" not in hook.requests[0].body.decode()


def row_of(world: World, topic: str) -> int:
    return int(
        world.query(
            "select d.id from billing.notice_deliveries d join billing.outbox o on o.id = d.notice_id"
            " where d.channel = 'webhook' and o.topic = %s",
            topic,
        )[0]["id"]
    )


def test_a_charge_that_waits_for_its_holder_carries_a_link_to_pay(world: World, hook: Receiver) -> None:
    register(world, hook.url)
    send(world, notify(world, "topup.action_required"))
    url = json.loads(hook.requests[0].body)["data"]["pay_url"]
    assert pay_links.payment_of(world.app.settings, url.rpartition("/")[2]) == "pay_1"


def test_a_real_crossing_reaches_the_platform_through_the_sweep(world: World, hook: Receiver) -> None:
    register(world, hook.url)
    world.ledger.set_auto_topup(ACCOUNT, {"enabled": False}, "test")
    spent = world.balance - 5
    world.ledger.spend_credits(ACCOUNT, {"id": "s", "amount": round(spent * CREDIT)})
    maintenance.sweep(world.app)
    due = [item for actor, item in world.queue.sent if actor == "send_notice"]
    assert due
    for number in due:
        delivery.send_notice(world.app, number)
    event = Webhook(SECRET).verify(hook.requests[0].body, hook.requests[0].headers)
    assert (event["type"], event["data"]["available"], event["data"]["level"]) == ("balance.low", "5", "20")


def test_after_failures_the_same_webhook_id_comes_again(world: World, hook: Receiver) -> None:
    register(world, hook.url)
    number = notify(world)
    hook.answers = [status(500), status(429), status(204)]
    assert [send(world, number) for _ in range(3)] == [
        ("pending", "http_500"),
        ("pending", "http_429"),
        ("sent", None),
    ]
    assert len({request.headers["webhook-id"] for request in hook.requests}) == 1
    for request in hook.requests:
        Webhook(SECRET).verify(request.body, request.headers)


def test_a_crash_between_sending_and_finishing_sends_the_same_webhook_id_again(
    world: World, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    register(world, hook.url)
    number = notify(world)
    with monkeypatch.context() as patch:
        patch.setattr(type(world.ledger), "finish_notice", die)
        with pytest.raises(Killed):
            delivery.send_notice(world.app, number)
    delivery.send_notice(world.app, number)
    assert len(hook.requests) == 1  # the lease of the dead worker
    assert send(world, number) == ("sent", None)
    assert len({request.headers["webhook-id"] for request in hook.requests}) == 1
    assert len(hook.requests) == 2


def test_redirects_are_not_followed(world: World, hook: Receiver) -> None:
    register(world, hook.url)
    with receiver() as elsewhere:
        hook.answers = [status(307, Location=elsewhere.url)]
        assert send(world, notify(world)) == ("pending", "http_307")
        assert elsewhere.requests == []


def test_410_switches_the_endpoint_off(world: World, hook: Receiver) -> None:
    register(world, hook.url)
    hook.answers = [status(410)]
    waiting = notify(world)
    assert send(world, notify(world)) == ("failed", "http_410")
    assert send(world, waiting) == ("skipped", "endpoint_disabled")
    assert len(hook.requests) == 1
    assert len(world.notices("operations.webhook_disabled")) == 1


def endless(handler: BaseHTTPRequestHandler) -> None:
    """A body that never ends."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100_000):
        handler.wfile.write(b"x" * 65_536)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """A byte of headers now and then: each comes in time, all of them never."""
    for _ in range(1000):
        handler.wfile.write(b"H")
        handler.wfile.flush()
        time.sleep(0.05)


def silent(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.recv(1)


def test_an_endless_answer_is_read_to_a_bound_and_its_status_counts(world: World, hook: Receiver) -> None:
    register(world, hook.url)
    hook.answers = [endless]
    assert send(world, notify(world)) == ("sent", None)


@pytest.mark.parametrize("answer", [dripping, silent])
def test_an_answer_that_does_not_come_holds_a_worker_for_a_bounded_time(
    world: World, hook: Receiver, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setattr(outgoing, "TOTAL_SECONDS", 0.5)
    register(world, hook.url)
    hook.answers = [answer]
    number, began = notify(world), time.monotonic()
    assert send(world, number)[0] == "pending"
    assert time.monotonic() - began < 5
    assert row(world, number)["reason"] in ("timeout", "no_connection")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:{closed}/", "no_connection"),
        ("http://no-such-host.invalid/", "no_connection"),
        ("https://127.0.0.1:{open}/", "tls_error"),
    ],
)
def test_what_cannot_be_reached_is_tried_again_and_named(
    world: World, hook: Receiver, url: str, reason: str
) -> None:
    port = hook.url.split(":")[2].split("/")[0]
    register(world, url.format(closed=free_port(), open=port))
    assert send(world, notify(world)) == ("pending", reason)


def test_a_rolled_secret_lets_old_and_new_receivers_verify(world: World, hook: Receiver) -> None:
    number = register(world, hook.url)
    new = keys.new_webhook_secret()
    world.ledger.roll_webhook_secret(number, None, new, "test")
    send(world, notify(world))
    for secret in (SECRET, new):
        Webhook(secret).verify(hook.requests[0].body, hook.requests[0].headers)


def test_an_endpoint_of_an_account_hears_of_that_account_alone(world: World, hook: Receiver) -> None:
    world.ledger.open_account("other", "Other", None, None, 0, "test")
    register(world, hook.url, account="other")
    assert notify(world) == 0
    assert send(world, notify(world, account="other")) == ("sent", None)
    assert json.loads(hook.requests[0].body)["data"]["account_id"] == "other"


INSIDE = [
    "https://127.0.0.1/", "https://localhost/", "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/", "https://0.0.0.0/", "https://[::1]/",
    "https://[::]/", "https://[fe80::1]/", "https://[fd00:ec2::254]/", "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:169.254.169.254]/", "https://[64:ff9b::a9fe:a9fe]/", "https://[2002:7f00:1::]/",
    "https://2130706433/", "https://0x7f000001/", "https://127.1/", "https://224.0.0.1/", "https://255.255.255.255/",
]  # fmt: skip


@pytest.mark.parametrize("url", INSIDE)
def test_production_connects_to_no_address_within(
    world: World, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[object] = []
    monkeypatch.setattr(socket, "create_connection", lambda *address, **_: connected.append(address))
    register(in_production(world), url)
    assert send(world, notify(world)) == ("pending", "address_refused")
    assert connected == []


def test_production_speaks_https_alone(world: World, hook: Receiver) -> None:
    register(in_production(world), hook.url)
    assert send(world, notify(world)) == ("pending", "not_https")
    assert hook.requests == []


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """The resolver gives these addresses, call by call; what is connected to is kept."""
    left, connected = list(answers), []

    def resolve(_host: str, port: int, *_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in left.pop(0)]

    def connect(address: tuple[str, int], *_: object, **__: object) -> None:
        connected.append(address[0])
        raise OSError("not in a test")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    return connected


def post() -> None:
    outgoing.post("https://rebound.example/", b"{}", {}, public_only=True)


def test_a_name_that_changes_its_address_after_the_check_gains_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connected = resolving(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    with pytest.raises(outgoing.Undelivered, match="no_connection"):
        post()
    assert connected == ["93.184.215.14"]


def test_one_address_within_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    connected = resolving(monkeypatch, ["93.184.215.14", "127.0.0.1"])
    with pytest.raises(outgoing.Undelivered, match="address_refused"):
        post()
    assert connected == []


def test_the_next_address_is_tried_when_one_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    connected = resolving(monkeypatch, ["93.184.215.14", "93.184.215.15"])
    with pytest.raises(outgoing.Undelivered):
        post()
    assert connected == ["93.184.215.14", "93.184.215.15"]


def test_no_secret_and_no_url_is_logged(
    world: World, hook: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    register(world, hook.url + "?token=in-the-url")
    hook.answers = [status(500)]
    with caplog.at_level("DEBUG"):
        send(world, notify(world))
    said = "".join(
        str(vars(record)) for record in caplog.records if record.name.startswith(("workers", "shared"))
    )
    assert "notice not sent" in said
    assert SECRET not in said
    assert "in-the-url" not in said
