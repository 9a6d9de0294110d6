"""The pages of operators: who gets in, and what each action does and leaves in the audit log."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from shared.ledger import Ledger
from shared.queue import Queue
from shared.settings import Settings
from tests.support import Database
from tests.web.browsing import OPERATOR, SECOND_OPERATOR, rows, token_of
from tests.web.conftest import Counts, FakeGateway, KeyMaker, make_settings
from tests.web.test_account_pages import counted, told
from web import create_app
from web.local_login import login_url, operator_url

PAGES = (
    "", "/events", "/dead-letters", "/topups", "/accounts", "/accounts/acme", "/adjustments", "/reconciliation",
    "/invariants", "/search?q=ac", "/payments", "/payments?state=parked", "/holds", "/usage", "/notices", "/topups/paused",
)  # fmt: skip


@pytest.fixture
def settings(dsn: str, redis_url: str) -> Settings:
    return make_settings(dsn, redis_url, OPERATORS=f"{OPERATOR},{SECOND_OPERATOR}")


def enter(app: Flask, settings: Settings, user_id: str) -> FlaskClient:
    browser, url = app.test_client(), urlsplit(operator_url(settings, user_id))
    assert browser.get(f"{url.path}?{url.query}").status_code == 303
    return browser


@pytest.fixture
def dana(app: Flask, settings: Settings, acme: str) -> FlaskClient:
    return enter(app, settings, OPERATOR)


@pytest.fixture
def kim(app: Flask, settings: Settings, acme: str) -> FlaskClient:
    return enter(app, settings, SECOND_OPERATOR)


def send(browser: FlaskClient, path: str, **form: Any) -> str:
    token = token_of(browser.get("/ops").text)
    answer = browser.post(f"/ops{path}", data={"csrf_token": token} | form, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return answer.text


def audit(database: Database, action: str) -> list[Any]:
    return rows(database, f"select actor, subject from billing.audit_log where action = '{action}'")


def test_without_operators_there_are_no_such_pages(
    dsn: str, redis_url: str, ledger: Ledger, gateway: FakeGateway
) -> None:
    app = create_app(make_settings(dsn, redis_url), ledger=ledger, gateway=gateway)  # type: ignore[arg-type]
    for page in PAGES:
        assert app.test_client().get(f"/ops{page}").status_code == 404


def test_member_is_no_operator_and_a_link_for_somebody_else_is_refused(
    app: Flask, settings: Settings, acme: str
) -> None:
    member, url = app.test_client(), urlsplit(login_url(settings, acme))
    assert member.get(f"{url.path}?{url.query}").status_code == 303
    for page in PAGES:
        assert member.get(f"/ops{page}").status_code == 403
    stranger = "00000000-0000-4000-8000-0000000000ff"
    for link in (operator_url(settings, stranger), operator_url(settings, OPERATOR)[:-3] + "abc"):
        url = urlsplit(link)
        assert app.test_client().get(f"{url.path}?{url.query}").status_code == 403
    # The link of a member names an account; it opens nothing here, even for an account of that name.
    token = urlsplit(login_url(settings, OPERATOR)).query
    assert app.test_client().get(f"/local/operator?{token}").status_code == 403


@pytest.mark.parametrize("page", PAGES)
def test_operator_sees_every_page_with_few_calls(
    dana: FlaskClient, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted(monkeypatch) as made:
        shown = dana.get(f"/ops{page}")
    assert (shown.status_code, shown.mimetype) == (200, "text/html")
    assert len(made) <= 8, made


def test_operator_without_an_account_may_not_look_at_billing(dana: FlaskClient) -> None:
    assert dana.get("/billing").status_code == 403


def test_event_shows_its_payload_and_is_replayed(
    dana: FlaskClient, ledger: Ledger, database: Database
) -> None:
    body = b'{"id": "evt_1", "note": "<script>alert(1)</script>"}'
    for number in (1, 2):
        ledger.record_stripe_event(f"evt_{number}", "x.y", "pi_1", False, "v", body, 1_795_000_000, "odd")
    page = dana.get("/ops/events/evt_1").text
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert dana.get("/ops/events/evt_9").status_code == 404
    assert "evt_1 is due again" in send(dana, "/events/replay", event_id="evt_1")
    assert "1 parked events" in send(dana, "/events/replay-parked")
    assert ledger.list_stripe_events("parked", 10) == []
    assert audit(database, "stripe_event.replayed") == [
        (f"operator:{OPERATOR}", f"evt_{number}") for number in (1, 2)
    ]


def test_dead_letter_is_put_back_or_deleted(
    dana: FlaskClient, settings: Settings, queue: Queue, database: Database
) -> None:
    redis = Redis.from_url(settings.redis_url.get_secret_value())
    for name in ("m1", "m2"):
        redis.zadd("dramatiq:payments.XQ", {name: 1_795_000_000_000})
        redis.hset(
            "dramatiq:payments.XQ.msgs", name, '{"actor_name": "charge_topup", "options": {"retries": 3}}'
        )
    assert "charge_topup" in dana.get("/ops/dead-letters").text
    send(dana, "/dead-letters/requeue", letter_id="m1")
    send(dana, "/dead-letters/delete", letter_id="m2")
    assert redis.zrange("dramatiq:payments.XQ", 0, -1) == []
    assert redis.lrange("dramatiq:payments", 0, -1) == [b"m1"]
    assert audit(database, "dead_letter.requeued") == [(f"operator:{OPERATOR}", "m1")]
    assert audit(database, "dead_letter.deleted") == [(f"operator:{OPERATOR}", "m2")]
    token = token_of(dana.get("/ops").text)
    gone = dana.post("/ops/dead-letters/delete", data={"csrf_token": token, "letter_id": "m2"})
    assert gone.status_code == 404


def test_large_adjustment_waits_for_another_operator(
    dana: FlaskClient, kim: FlaskClient, ledger: Ledger, acme: str, database: Database
) -> None:
    small = {"account_id": acme, "amount": "-2.5", "reason": "twice", "request_id": "form_1"}
    for _ in range(2):
        assert "It is booked" in told(send(dana, "/accounts/adjust", **small), "good")[0]
    assert ledger.get_balance(acme)["balance"] == 97_500_000
    large = small | {"amount": "10000.000001", "request_id": "form_2"}
    assert "waits until another" in told(send(dana, "/accounts/adjust", **large), "good")[0]
    (waiting,) = ledger.list_adjustments(None, "waiting", 10)
    assert "You asked for it" in dana.get("/ops/adjustments").text
    decision = {"id": waiting["id"], "decision": "approve"}
    assert len(told(send(dana, "/adjustments/decide", **decision), "bad")) == 1
    assert len(told(send(kim, "/adjustments/decide", id=waiting["id"]), "bad")) == 1
    assert ledger.get_balance(acme)["balance"] == 97_500_000
    assert "is approved. It is booked." in told(send(kim, "/adjustments/decide", **decision), "good")[0]
    assert ledger.get_balance(acme)["balance"] == 10_097_500_001
    assert audit(database, "adjustment.approved") == [(f"operator:{SECOND_OPERATOR}", waiting["id"])]


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "0"},
        {"amount": "1e3"},
        {"amount": ""},
        {"reason": ""},
        {"request_id": ""},
        {"account_id": ""},
    ],
)
def test_wrong_adjustment_changes_nothing(
    dana: FlaskClient, acme: str, money: Counts, wrong: dict[str, str]
) -> None:
    before = money()
    form = {"account_id": acme, "amount": "1", "reason": "r", "request_id": "form_1"} | wrong
    assert len(told(send(dana, "/accounts/adjust", **form), "bad")) == 1
    assert money() == before


def test_lot_is_extended(dana: FlaskClient, ledger: Ledger, acme: str, database: Database) -> None:
    rows(database, "update billing.credit_lots set expires_at = now() + interval '1 day' returning 1")
    (lot,) = ledger.list_lots(acme, 10, None)["data"]
    form = {"account_id": acme, "id": f"lot_{lot['id']}", "reason": "asked"}
    assert len(told(send(dana, "/accounts/extend-lot", **form, day="soon"), "bad")) == 1
    page = send(dana, "/accounts/extend-lot", **form, day="2999-12-31")
    assert "up to the end of 2999-12-31" in told(page, "good")[0]
    assert ledger.list_lots(acme, 10, None)["data"][0]["expires_at"].startswith("3000-01-01T00:00:00")
    assert len(audit(database, "lot.extended")) == 1


def test_reconciliation_is_started_once_and_a_difference_settled(
    dana: FlaskClient, ledger: Ledger, database: Database, acme: str
) -> None:
    for _ in range(2):
        send(dana, "/reconciliation", span="7d", request_id="form_1")
    (run,) = ledger.list_reconciliations(10)
    assert run["kind"] == "manual"
    rows(
        database,
        "insert into billing.reconciliation_differences (subject, reason, kind, account_id, found_by)"
        f" values ('pi_1', 'not_paid', 'payment', 'acme', '{run['id']}') returning 1",
    )
    (difference,) = ledger.list_differences(10, all_of_them=False)
    assert "pi_1" in dana.get("/ops/reconciliation").text
    settle = {"difference_id": difference["id"]}
    assert len(told(send(dana, "/reconciliation/dismiss", **settle, note=""), "bad")) == 1
    send(dana, "/reconciliation/dismiss", **settle, note="refunded by hand")
    assert ledger.list_differences(10, all_of_them=False) == []
    assert audit(database, "difference.dismissed") == [(f"operator:{OPERATOR}", "pi_1")]
    assert (f"operator:{OPERATOR}", run["id"]) in audit(database, "reconciliation.started")


def test_check_of_the_books_shows_what_is_violated(dana: FlaskClient, database: Database, acme: str) -> None:
    assert "All invariants hold." in send(dana, "/invariants")
    rows(database, "update billing.credit_balances set balance = balance + 1 returning 1")
    page = send(dana, "/invariants")
    assert "balance_equals_entries" in page
    assert "All invariants hold." not in page


def test_api_keeps_large_adjustments_for_another_key(
    client: FlaskClient, key: KeyMaker, acme: str, ledger: Ledger
) -> None:
    path, first, second = "/api/credits/adjustments", key(["admin"]), key(["admin"])
    ledger.open_account("other", "Other", None, None, 0, "tests")
    elsewhere = key(["admin"], "other")
    body = {"account_id": acme, "amount": "-10001", "reason": "wrong price", "actor": "dana"}
    keyed = first | {"Idempotency-Key": "a1"}
    asked, again = (client.post(path, json=body, headers=keyed) for _ in range(2))
    assert (asked.status_code, asked.json["state"], asked.json["balance"]) == (202, "waiting", None)
    assert again.json == asked.json
    assert ledger.get_balance(acme)["balance"] == 100_000_000
    decision = f"{path}/{asked.json['id']}/approve"
    # Another name is no other operator.
    refused = client.post(decision, json={"actor": "kim"}, headers=first)
    assert (refused.status_code, refused.json["code"]) == (409, "state_conflict")
    assert client.post(decision, json={}, headers=elsewhere).status_code == 404
    assert client.get(path, headers=elsewhere).json["data"] == []
    done = client.post(decision, json={"actor": "kim"}, headers=second)
    assert (done.status_code, done.json["state"], done.json["decider"]) == (
        200,
        "approved",
        "kim (api_key:tests)",
    )
    assert ledger.get_balance(acme)["balance"] == -9_901_000_000
    assert client.post(f"{path}/{asked.json['id']}/reject", headers=second).status_code == 409
    (row,) = client.get(f"{path}?state=approved", headers=second).json["data"]
    assert (row["credits"], row["requester"]) == ("-10001", "dana (api_key:tests)")
