"""POST /api/credits/usage over the real ledger."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.ledger import Ledger
from tests.web.conftest import Counts, KeyMaker

PATH = "/api/credits/usage"


def send(client: FlaskClient, token: dict[str, str], body: Any, kind: str = "application/json") -> Any:
    return client.post(PATH, data=json.dumps(body), headers=token | {"Content-Type": kind})


def cloud(event_id: str, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "runner",
        "type": "refill.usage",
        "subject": "acme",
        "data": {"action": "chat"} | data,
    }


def test_single_event_array_and_cloud_events(client: FlaskClient, key: KeyMaker, acme: str) -> None:
    token = key(["usage"])
    event = {"id": "e1", "account_id": "acme", "action": "chat"}
    assert send(client, token, event).json == {
        "accepted": 1,
        "duplicates": 0,
        "rejected": [],
        "accounts": [{"account_id": "acme", "available": "97.5", "status": "active"}],
    }
    assert send(client, token, [event, event | {"id": "e2"}]).json["duplicates"] == 1
    assert send(client, token, cloud("e3"), "application/cloudevents+json").json["accepted"] == 1
    batch = [cloud("e4"), cloud("e5", quantity=2)]
    answer = send(client, token, batch, "application/cloudevents-batch+json").json
    assert (answer["accepted"], answer["accounts"][0]["available"]) == (2, "85")


def test_rejections_carry_their_place_in_the_body(client: FlaskClient, key: KeyMaker, acme: str) -> None:
    body = [
        {"id": "bad", "account_id": "acme", "action": "chat", "quantity": 0},
        {"id": "e1", "account_id": "acme", "action": "chat"},
        {"id": "e2", "account_id": "nobody", "action": "chat"},
        {"id": "e3", "action": "chat"},
        {"id": "e4", "account_id": "acme", "action": "unpriced"},
        {"id": "e5", "account_id": "acme", "amount": "1"},
        {"id": "e1", "account_id": "acme", "action": "chat", "quantity": 2},
    ]
    answer = send(client, key(["usage"]), body).json
    assert answer["accepted"] == 1
    assert [(item["index"], item["id"], item["code"]) for item in answer["rejected"]] == [
        (0, "bad", "invalid_quantity"),
        (2, "e2", "unknown_account"),
        (3, "e3", "account_required"),
        (4, "e4", "unknown_action"),
        (5, "e5", "scope_missing"),
        (6, "e1", "idempotency_conflict"),
    ]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"quantity": 0}, 422, "invalid_quantity"),
        ({"account_id": None}, 422, "account_required"),
        ({"account_id": "nobody"}, 404, "unknown_account"),
        ({"amount": "1"}, 403, "scope_missing"),
        ({"id": "taken"}, 409, "idempotency_conflict"),
    ],
)
def test_single_event_that_cannot_be_booked_is_refused_with_its_code(
    client: FlaskClient,
    key: KeyMaker,
    acme: str,
    money: Counts,
    change: dict[str, Any],
    status: int,
    code: str,
) -> None:
    token = key(["usage"])
    event = {"id": "taken", "account_id": "acme", "action": "chat", "quantity": 2}
    send(client, token, event)
    before = money()
    response = send(client, token, event | {"id": "e1", "quantity": 1} | change)
    assert (response.status_code, response.json["code"]) == (status, code)
    assert response.json["rejected"][0]["code"] == code
    assert money() == before


def test_usage_is_booked_below_zero_and_spending_is_then_refused(
    client: FlaskClient, key: KeyMaker, acme: str
) -> None:
    token = key(["usage", "spend", "read"], acme)
    send(client, token, {"id": "e1", "action": "chat", "quantity": 50})
    balance = client.get("/api/credits/balance", headers=token).json
    assert (balance["balance"], balance["debt"], balance["available"]) == ("-25", "25", "0")
    assert client.post("/api/credits/use", json={"action": "chat"}, headers=token).status_code == 402


def test_spend_and_usage_share_one_space_of_ids(
    client: FlaskClient, key: KeyMaker, acme: str, ledger: Ledger
) -> None:
    token = key(["usage", "spend"])
    event = {"id": "e1", "account_id": "acme", "action": "chat", "agent": "a"}
    client.post("/api/credits/use", json=event, headers=token)
    assert send(client, token, event).json["duplicates"] == 1
    assert ledger.get_balance(acme)["balance"] == 97_500_000


def test_a_thousand_go_through_and_one_more_does_not(
    client: FlaskClient, key: KeyMaker, acme: str, money: Counts
) -> None:
    token = key(["usage"], acme)
    events = [{"id": f"e{n}", "action": "chat"} for n in range(1001)]
    before = money()
    refused = send(client, token, events)
    assert (refused.status_code, refused.json["code"]) == (422, "too_many_events")
    assert money() == before
    assert send(client, token, events[:1000]).json["accepted"] == 1000


def test_lists_page_without_gaps(client: FlaskClient, key: KeyMaker, acme: str) -> None:
    token = key(["usage", "read"], acme)
    send(client, token, [{"id": f"e{n}", "action": "chat"} for n in range(7)])
    seen: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"{PATH}?limit=3{cursor}", headers=token).json
        seen += [row["id"] for row in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(seen) == [f"e{n}" for n in range(7)]
