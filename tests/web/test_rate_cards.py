"""Rate cards over HTTP: what is shown, who may set them, what slips are caught, and usage that waits for one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.ledger import Ledger
from tests.web.conftest import ALL_SCOPES, Counts, KeyMaker

CARDS, USE, USAGE = "/api/billing/actions", "/api/credits/use", "/api/credits/usage"
LLM = {
    "action": "llm",
    "model": "small-1",
    "rates": {"input_tokens": {"credits": "3", "per": 1_000_000}, "output_tokens": {"credits": "15", "per": 1_000_000}},
}  # fmt: skip
CALL = {"action": "llm", "dimensions": {"model": "small-1", "input_tokens": 1000, "output_tokens": 200}}


@pytest.fixture
def token(key: KeyMaker, acme: str) -> dict[str, str]:
    return key()


def put(client: FlaskClient, token: dict[str, str], card: dict[str, Any]) -> TestResponse:
    return client.put(CARDS, json=card, headers=token)


def listed(client: FlaskClient, action: str) -> list[dict[str, Any]]:
    return [card for card in client.get(CARDS).json["data"] if card["action"] == action]


def use(client: FlaskClient, token: dict[str, str], body: dict[str, Any]) -> TestResponse:
    return client.post(USE, json={"account_id": "acme"} | body, headers=token)


def test_card_is_set_listed_for_everybody_and_prices_calls(
    client: FlaskClient, token: dict[str, str]
) -> None:
    set_card = put(client, token, LLM | {"unit": "token", "description": "A small model"})
    assert set_card.status_code == 200
    assert set_card.json == LLM | {
        "credits": None, "unit": "token", "description": "A small model", "effective_from": None,
        "account_id": None, "effective_until": None, "retired": False,
    }  # fmt: skip
    shown = {name: set_card.json[name] for name in
             ("action", "model", "credits", "rates", "unit", "description", "effective_from")}  # fmt: skip
    assert listed(client, "llm") == [shown]
    assert use(client, token, CALL).json["credits"] == "0.006"


def test_price_by_quantity_and_by_dimension_add_up(client: FlaskClient, token: dict[str, str]) -> None:
    put(
        client,
        token,
        {"action": "scan", "credits": "0.5", "rates": {"pages": {"credits": "0.000001", "per": 1}}},
    )
    body = {"action": "scan", "quantity": 2, "dimensions": {"pages": 3}}
    assert use(client, token, body).json["credits"] == "1.000003"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"action": "nothing"}, "unknown_action"),
        ({"action": "llm", "dimensions": {"model": "other", "input_tokens": 5}}, "unknown_model"),
        ({"action": "llm"}, "unknown_model"),
        (CALL | {"dimensions": CALL["dimensions"] | {"cached_tokens": 5}}, "unknown_dimension"),  # type: ignore[operator]
    ],
)
def test_what_has_no_price_is_refused_on_spend_and_hold_and_moves_nothing(
    client: FlaskClient, token: dict[str, str], money: Counts, body: dict[str, Any], code: str
) -> None:
    put(client, token, LLM)
    before = money()
    for path in (USE, "/api/credits/holds", "/api/credits/quote"):
        response = client.post(path, json=body | {"account_id": "acme"}, headers=token)
        assert (response.status_code, response.json["code"]) == (422, code), path
    assert money() == before


def test_card_of_an_account_prices_that_account_alone_and_is_not_public(
    client: FlaskClient, token: dict[str, str], ledger: Ledger
) -> None:
    ledger.open_account("other", "Other", "o@o.example", None, 100_000_000, "tests")
    card = put(client, token, {"action": "chat", "credits": "1", "account_id": "acme"})
    assert card.json["account_id"] == "acme"
    assert [row["credits"] for row in listed(client, "chat")] == ["2.5"]
    assert use(client, token, {"action": "chat"}).json["credits"] == "1"
    assert use(client, token, {"action": "chat", "account_id": "other"}).json["credits"] == "2.5"


def test_card_of_tomorrow_changes_nothing_today(
    client: FlaskClient, token: dict[str, str], ledger: Ledger
) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    card = put(client, token, {"action": "chat", "credits": "5", "effective_from": tomorrow.isoformat()})
    assert datetime.fromisoformat(card.json["effective_from"]) == tomorrow
    assert use(client, token, {"action": "chat"}).json["credits"] == "2.5"
    upcoming = [row for row in ledger.list_actions(upcoming=True) if row["action"] == "chat"]
    assert [row["credits"] for row in upcoming] == [2_500_000, 5_000_000]
    # Taken back before it begins.
    away = put(client, token, {"action": "chat", "retire": True, "effective_from": tomorrow.isoformat()})
    assert (away.status_code, away.json["credits"], away.json["retired"]) == (200, "5", True)


def test_retired_action_is_refused_again_and_a_price_that_is_not_there_cannot_be_retired(
    client: FlaskClient, token: dict[str, str], money: Counts
) -> None:
    retired = put(client, token, {"action": "chat", "retire": True})
    assert (retired.status_code, retired.json["retired"], retired.json["credits"]) == (200, True, "2.5")
    assert retired.json["effective_until"]
    assert listed(client, "chat") == []
    assert use(client, token, {"action": "chat"}).json["code"] == "unknown_action"
    before = money()
    missing = put(client, token, {"action": "nothing", "retire": True})
    assert (missing.status_code, missing.json["code"]) == (404, "not_found")
    assert money() == before


@pytest.mark.parametrize(
    "card",
    [
        {"action": "chat", "credits": "25"},
        {"action": "chat", "credits": "0.25"},
        {"action": "new", "rates": {"input_tokens": {"credits": "3", "per": 1}}},
        {"action": "llm", "model": "small-2", "rates": {"input_tokens": {"credits": "3", "per": 1000}}},
    ],
)
def test_price_that_looks_like_a_slip_is_refused_until_it_is_confirmed(
    client: FlaskClient, token: dict[str, str], money: Counts, card: dict[str, Any]
) -> None:
    put(client, token, LLM)
    before = money()
    response = put(client, token, card)
    assert (response.status_code, response.json["code"]) == (422, "price_change_too_large")
    assert response.json["dimension"] in ("quantity", "input_tokens")
    assert response.json["price"]
    assert money() == before
    assert put(client, token, card | {"confirm": True}).status_code == 200


def test_key_of_an_account_sets_no_prices(
    client: FlaskClient, key: KeyMaker, acme: str, money: Counts
) -> None:
    before = money()
    bound = key(ALL_SCOPES, acme)
    for card in ({"action": "chat", "credits": "3"}, {"action": "chat", "credits": "3", "account_id": acme}):
        response = put(client, bound, card)
        assert (response.status_code, response.json["code"]) == (403, "scope_missing")
        assert "bound to an account" in response.json["detail"]
    without = put(client, key([s for s in ALL_SCOPES if s != "admin"]), {"action": "chat", "credits": "3"})
    assert (without.status_code, without.json["scope"]) == (403, "admin")
    assert put(client, {}, {"action": "chat", "credits": "3"}).status_code == 401
    assert money() == before


def rate(**change: Any) -> dict[str, Any]:
    return {"credits": None, "rates": {"seconds": {"credits": "1", "per": 1} | change}}


@pytest.mark.parametrize(
    "change",
    [
        *({"credits": amount} for amount in (0, "0", -1, "-1", 1.5, "1e3", True, 2**63, "", [], None)),
        *(rate(credits=amount) for amount in (0, "0", "-1", 1.5, "1e3", True, 2**63, None)),
        *(rate(per=per) for per in (0, -1, 1_000_000_001, 1.5, "1", True, None)),
        rate(other=1),
        {"rates": {}},
        {"rates": {"": {"credits": "1", "per": 1}}},
        {"rates": {"x" * 101: {"credits": "1", "per": 1}}},
        {"rates": {"model": {"credits": "1", "per": 1}}},
        {"rates": {f"d{n}": {"credits": "1", "per": 1} for n in range(51)}},
        {"rates": [{"credits": "1", "per": 1}]},
        {"retire": True},
        {"action": ""},
        {"model": ""},
        {"effective_from": "2026-12-01"},
        {"effective_from": "2001-01-01T00:00:00Z"},
        {"effective_from": "tomorrow"},
        {"effective_from": 5},
        {"confirm": "yes"},
        {"other": 1},
    ],
)
def test_wrong_cards_are_422_and_change_nothing(
    client: FlaskClient, token: dict[str, str], money: Counts, change: dict[str, Any]
) -> None:
    before = money()
    response = put(client, token, {"action": "paint", "credits": "1"} | change)
    assert response.status_code == 422
    assert response.json["code"] in ("invalid_request", "invalid_value")
    assert money() == before


def test_card_for_an_unknown_account_is_404(
    client: FlaskClient, token: dict[str, str], money: Counts
) -> None:
    before = money()
    response = put(client, token, {"action": "chat", "credits": "1", "account_id": "nobody"})
    assert (response.status_code, response.json["code"]) == (404, "unknown_account")
    assert money() == before


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"action": "paint"}, "unknown_action"),
        ({"action": "llm", "dimensions": {"model": "new", "input_tokens": 1}}, "unknown_model"),
        ({"action": "llm", "dimensions": {"model": "small-1", "images": 1}}, "unknown_dimension"),
    ],
)
def test_single_event_without_a_price_is_kept_and_booked_when_there_is_one(
    client: FlaskClient, token: dict[str, str], ledger: Ledger, event: dict[str, Any], code: str
) -> None:
    put(client, token, LLM)
    event = {"id": "e1", "account_id": "acme"} | event
    for _ in range(2):
        answer = client.post(USAGE, json=event, headers=token)
        assert answer.status_code == 200
        assert answer.json == {
            "accepted": 0,
            "duplicates": 0,
            "rejected": [{"index": 0, "id": "e1", "code": code, "parked": True}],
            "accounts": [{"account_id": "acme", "available": "100", "status": "active"}],
        }
    other = client.post(USAGE, json=event | {"quantity": 2}, headers=token)
    assert (other.status_code, other.json["code"]) == (409, "idempotency_conflict")
    model = event.get("dimensions", {}).get("model")
    card = {"action": event["action"], "credits": "4", "rates": {"images": {"credits": "1", "per": 1}}}
    card |= {"rates": card["rates"] | LLM["rates"]} | ({"model": model} if model else {})  # type: ignore[operator]
    assert put(client, token, card | {"confirm": True}).status_code == 200
    assert ledger.reprice_usage(10)["booked"] == 1
    assert client.post(USAGE, json=event, headers=token).json["duplicates"] == 1
    assert ledger.reprice_usage(10)["booked"] == 0
    rows = client.get(f"{USAGE}?account_id=acme", headers=token).json["data"]
    assert [row["id"] for row in rows] == ["e1"]


def test_in_a_batch_the_priced_go_through_and_the_others_say_whether_they_are_kept(
    client: FlaskClient, token: dict[str, str]
) -> None:
    batch = [
        {"id": "e1", "account_id": "acme", "action": "chat"},
        {"id": "e2", "account_id": "acme", "action": "paint"},
        {"id": "e3", "account_id": "nobody", "action": "paint"},
        {"id": "e4", "account_id": "acme", "action": "chat", "quantity": 0},
        {"id": "e5", "action": "chat"},
    ]
    answer = client.post(USAGE, json=batch, headers=token).json
    assert answer["accepted"] == 1
    assert [(item["id"], item["code"], item["parked"]) for item in answer["rejected"]] == [
        ("e2", "unknown_action", True),
        ("e3", "unknown_account", False),
        ("e4", "invalid_quantity", False),
        ("e5", "account_required", False),
    ]


def test_every_path_of_spending_is_documented_with_its_codes(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").json["paths"]

    def codes(path: str, method: str) -> str:
        return " ".join(answer["description"] for answer in paths[path][method]["responses"].values())

    for path in (USE, "/api/credits/holds", "/api/credits/holds/{id}/settle", "/api/credits/quote"):
        assert "`unknown_model`" in codes(path, "post"), path
        assert "`unknown_dimension`" in codes(path, "post"), path
    assert "`price_change_too_large`" in codes(CARDS, "put")
    assert "`limit_reached`" in codes("/api/credits/holds", "post")
    for path, method in (
        (USE, "post"),
        ("/api/credits/limits", "put"),
        (CARDS, "put"),
        ("/api/credits/quote", "post"),
    ):
        assert paths[path][method]["requestBody"]["content"]["application/json"]["example"], path
