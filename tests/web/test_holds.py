"""Holds over HTTP: reserve, settle, extend, release, and spends from a hold, over the real ledger."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.ledger import Ledger
from shared.queue import Queue
from tests.support import Database
from tests.web.conftest import Counts, KeyMaker
from tests.web.test_spend import _allow_topups, _checks

HOLDS, USE = "/api/credits/holds", "/api/credits/use"
EVERYTHING = ["spend", "price", "read"]


def path(hold_id: str, verb: str = "") -> str:
    return f"{HOLDS}/{quote(hold_id, safe='')}{verb and '/' + verb}"


class Platform:
    """A key that is bound to acme, and calls with it."""

    def __init__(self, client: FlaskClient, token: dict[str, str]) -> None:
        self.client = client
        self.token = token

    def post(self, where: str, body: Any = None) -> TestResponse:
        return self.client.post(where, json={} if body is None else body, headers=self.token)

    def hold(self, hold_id: str = "h", amount: str | None = "80", **more: Any) -> TestResponse:
        body = {"id": hold_id, **({"amount": amount} if amount else {}), **more}
        return self.post(HOLDS, body)

    def do(self, verb: str, hold_id: str = "h", **body: Any) -> TestResponse:
        return self.post(path(hold_id, verb), body)

    def get(self, hold_id: str = "h") -> TestResponse:
        return self.client.get(path(hold_id), headers=self.token)

    def balance(self) -> tuple[str, str, str]:
        found = self.client.get("/api/credits/balance", headers=self.token).json
        return found["balance"], found["held"], found["available"]


@pytest.fixture
def platform(client: FlaskClient, key: KeyMaker, acme: str) -> Platform:
    return Platform(client, key(EVERYTHING, acme))


def refused(response: TestResponse, status: int, code: str) -> bool:
    return (response.status_code, response.json["code"], response.mimetype) == (
        status,
        code,
        "application/problem+json",
    )


def test_hold_is_answered_with_every_field(platform: Platform) -> None:
    placed = platform.hold(
        amount="12.5", agent_type="writer", department_id="d", member_id="m", run_id="r", metadata={"a": 1}
    )
    assert placed.status_code == 201
    hold = placed.json
    times = {name: hold.pop(name) for name in ("expires_at", "created_at")}
    assert all(times.values())
    assert hold == {
        "id": "h", "account_id": "acme", "parent_id": None, "state": "open", "amount": "12.5", "settled": "0",
        "spent": "0", "reserved": "0", "remaining": "12.5", "action": None, "agent": "writer", "department_id": "d",
        "member_id": "m", "run_id": "r", "closed_at": None, "available": "87.5", "status": "active",
    }  # fmt: skip
    assert platform.balance() == ("100", "12.5", "87.5")
    assert platform.get().json == placed.json


def test_two_holds_of_80_on_100_second_is_refused_and_both_settle_right(
    platform: Platform, money: Counts
) -> None:
    platform.hold("one")
    before = money()
    response = platform.hold("two")
    assert refused(response, 402, "insufficient_credits")
    facts = {name: response.json[name] for name in ("binding", "needed", "available", "topup")}
    assert facts == {"binding": "balance", "needed": "80", "available": "20", "topup": "off"}
    assert response.json["purchase_url"] == "http://localhost:8000/billing#buy"
    assert money() == before
    settled = platform.do("settle", "one", amount="30").json
    assert (settled["state"], settled["settled"], settled["remaining"]) == ("settled", "30", "0")
    assert settled["refusal"] is None
    assert platform.balance() == ("70", "0", "70")
    assert platform.hold("two", "60").status_code == 201
    assert platform.do("settle", "two", amount="60").json["available"] == "10"
    assert platform.balance() == ("10", "0", "10")


def test_repeated_hold_is_200_and_the_same_and_with_other_content_409(
    platform: Platform, money: Counts
) -> None:
    first = platform.hold()
    before = money()
    second = platform.hold()
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json == first.json
    assert refused(platform.hold(amount="81"), 409, "idempotency_conflict")
    assert money() == before


def test_idempotency_key_stands_for_the_id_and_without_both_one_is_made(platform: Platform) -> None:
    made = platform.post(HOLDS, {"amount": "1"})
    assert made.json["id"].startswith("hold_")
    platform.token = platform.token | {"Idempotency-Key": "k-1"}
    first, second = (platform.post(HOLDS, {"amount": "1"}) for _ in range(2))
    assert (first.json["id"], first.status_code, second.status_code) == ("k-1", 201, 200)


def test_action_is_reserved_at_its_price_and_settled_with_it(platform: Platform) -> None:
    held = platform.hold(amount=None, action="chat", quantity=4).json
    assert (held["amount"], held["action"]) == ("10", "chat")
    settled = platform.do("settle")
    assert (settled.json["settled"], settled.json["available"]) == ("10", "90")
    events = platform.client.get("/api/credits/usage", headers=platform.token).json["data"]
    assert [(e["action"], e["quantity"], e["credits"], e["hold_id"]) for e in events] == [
        ("chat", 4, "10", "h")
    ]


@pytest.mark.parametrize(
    "usage", [{"action": "chat", "quantity": 2}, [{"action": "chat"}, {"action": "chat"}]]
)
def test_usage_is_priced_by_the_cards(platform: Platform, usage: Any) -> None:
    platform.hold(agent="a", run_id="r")
    assert platform.do("settle", usage=usage).json["settled"] == "5"
    events = platform.client.get("/api/credits/usage", headers=platform.token).json["data"]
    assert {(event["agent"], event["run_id"]) for event in events} == {("a", "r")}
    assert platform.balance() == ("95", "0", "95")


def test_settling_again_with_the_same_answers_as_before_and_with_another_is_409(
    platform: Platform, money: Counts
) -> None:
    platform.hold()
    first = platform.do("settle", amount="30")
    before = money()
    again = platform.do("settle", amount=30)
    assert (again.status_code, again.json) == (200, first.json)
    assert refused(platform.do("settle", amount="31"), 409, "idempotency_conflict")
    assert money() == before


def test_zero_closes_a_hold_without_a_charge_and_more_than_held_is_charged(platform: Platform) -> None:
    platform.hold("free")
    assert platform.do("settle", "free", amount="0").json["state"] == "settled"
    assert platform.balance() == ("100", "0", "100")
    platform.hold("dear", "10")
    assert platform.do("settle", "dear", amount="130").json["settled"] == "130"
    assert platform.balance() == ("-30", "0", "0")


def test_lease_draws_and_reserves_more_in_one_call(platform: Platform) -> None:
    platform.hold(amount="40")
    draw = {"amount": "35", "final": False, "id": "d1", "reserve": "30", "expires_in": 1200}
    first = platform.do("settle", **draw).json
    assert (first["state"], first["settled"], first["remaining"], first["amount"]) == (
        "open",
        "35",
        "35",
        "70",
    )
    assert platform.do("settle", **draw).json["settled"] == "35"
    assert refused(platform.do("settle", **draw | {"amount": "36"}), 409, "idempotency_conflict")
    assert platform.balance() == ("65", "35", "30")


def test_what_cannot_be_reserved_is_answered_and_the_charge_stands(platform: Platform) -> None:
    platform.hold()
    answer = platform.do("settle", amount="50", final=False, id="d1", reserve="30")
    assert answer.status_code == 200
    refusal = answer.json["refusal"]
    facts = {name: refusal[name] for name in ("code", "binding", "needed", "available", "purchase_url")}
    assert facts == {
        "code": "insufficient_credits",
        "binding": "balance",
        "needed": "30",
        "available": "20",
        "purchase_url": "http://localhost:8000/billing#buy",
    }
    assert "30 credits" in refusal["detail"]
    assert (answer.json["state"], answer.json["settled"], answer.json["remaining"]) == ("open", "50", "30")


def test_draw_after_the_end_is_charged_and_says_that_nothing_can_be_reserved(
    platform: Platform, database: Database, ledger: Ledger
) -> None:
    platform.hold()
    with database.connect() as connection:
        connection.execute("update billing.credit_holds set expires_at = now() - interval '1 second'")
        connection.execute("update billing.credit_balances set next_expiry_at = least(next_expiry_at, now())")
    ledger.expire_holds(10)
    assert platform.get().json["state"] == "expired"
    refusal = platform.do("settle", amount="5", final=False, id="d", reserve="1").json["refusal"]
    assert (refusal["code"], refusal["state"], refusal["purchase_url"]) == ("state_conflict", "expired", None)
    assert platform.balance() == ("95", "0", "95")


def test_child_reserves_from_its_parent_and_the_refusal_names_the_run(
    platform: Platform, money: Counts
) -> None:
    platform.hold("run", "50", agent="a")
    child = platform.hold("child", "30", parent_id="run").json
    assert (child["parent_id"], child["agent"], child["available"]) == ("run", "a", "50")
    assert (platform.get("run").json["reserved"], platform.get("run").json["remaining"]) == ("30", "20")
    before = money()
    response = platform.hold("other", "21", parent_id="run")
    assert refused(response, 402, "limit_reached")
    facts = {name: response.json[name] for name in ("binding", "hold_id", "needed", "available", "topup")}
    assert facts == {"binding": "run", "hold_id": "run", "needed": "21", "available": "20", "topup": None}
    assert refused(platform.hold("other", "1", parent_id="none"), 404, "not_found")
    assert money() == before
    platform.do("settle", "run", amount="10")
    assert platform.get("child").json["state"] == "released"
    assert refused(platform.hold("late", "1", parent_id="run"), 409, "state_conflict")


def test_extend_and_release_work_without_a_body_and_repeat(platform: Platform) -> None:
    placed = platform.hold(expires_in=1).json
    bare = {"headers": platform.token}
    extended = platform.client.post(path("h", "extend"), **bare)
    assert extended.status_code == 200
    assert extended.json["expires_at"] > placed["expires_at"]
    assert platform.do("extend", expires_in=5).json["expires_at"] == extended.json["expires_at"]
    first, second = (platform.client.post(path("h", "release"), **bare) for _ in range(2))
    assert (first.status_code, second.status_code, second.json) == (200, 200, first.json)
    assert (first.json["state"], first.json["available"]) == ("released", "100")


def test_closed_holds_refuse_with_their_state_and_nothing_moves(platform: Platform, money: Counts) -> None:
    platform.hold("settled", "1")
    platform.do("settle", "settled")
    platform.hold("released", "1")
    platform.do("release", "released")
    before = money()
    for verb, hold_id in (("extend", "settled"), ("extend", "released"), ("release", "settled")):
        response = platform.do(verb, hold_id)
        assert refused(response, 409, "state_conflict")
        assert response.json["state"] == hold_id
    assert refused(platform.do("settle", "released", amount="1"), 409, "state_conflict")
    assert refused(platform.post(USE, {"action": "chat", "hold_id": "settled"}), 409, "state_conflict")
    assert money() == before


def test_unknown_holds_are_404(platform: Platform, money: Counts) -> None:
    before = money()
    for verb in ("settle", "extend", "release"):
        assert refused(platform.do(verb, "none"), 404, "not_found"), verb
    assert refused(platform.get("none"), 404, "not_found")
    assert refused(platform.post(USE, {"action": "chat", "hold_id": "none"}), 404, "not_found")
    assert money() == before


@pytest.mark.parametrize(
    "hold_id",
    [
        "a/b",
        "/",
        "//a//",
        "a/settle",
        "settle",
        "extend/release",
        "é ☃ 漢",
        "100%",
        "a?b#c",
        "a%2Fb",
        "{id}",
        "<x>",
        "...",
        "x" * 255,
    ],
)
def test_ids_of_any_printable_characters(platform: Platform, hold_id: str) -> None:
    assert platform.hold(hold_id, "1").json["id"] == hold_id
    assert platform.get(hold_id).json["id"] == hold_id
    assert platform.do("extend", hold_id).json["id"] == hold_id
    assert platform.do("settle", hold_id).json["state"] == "settled"
    platform.hold(hold_id + "2" if len(hold_id) < 255 else "y", "1")
    listed = platform.client.get(f"{HOLDS}?state=settled", headers=platform.token).json["data"]
    assert [hold["id"] for hold in listed] == [hold_id]


def test_holds_are_listed_in_pages_without_gaps(platform: Platform) -> None:
    wanted = ["first", "z" * 255, *(f"h{number}" for number in range(6))]
    for hold_id in wanted:
        platform.hold(hold_id, "1")
    platform.do("release", "h3")
    seen: list[str] = []
    query: dict[str, str] = {"limit": "1", "state": "open"}
    while query.get("cursor") != "end":
        page = platform.client.get(HOLDS, query_string=query, headers=platform.token).json
        seen += [hold["id"] for hold in page["data"]]
        query["cursor"] = page["next_cursor"] or "end"
    assert seen == [hold_id for hold_id in reversed(wanted) if hold_id != "h3"]


@pytest.mark.parametrize("query", ["state=closed", "cursor=x", "cursor=", "limit=0", "other=1"])
def test_wrong_queries_of_the_list_are_refused(platform: Platform, query: str) -> None:
    response = platform.client.get(f"{HOLDS}?{query}", headers=platform.token)
    assert response.status_code == 422
    assert response.json["code"] in ("invalid_request", "invalid_value")


def test_spend_from_a_hold_takes_from_its_budget_only(platform: Platform, money: Counts) -> None:
    platform.hold("run", "5", agent="a")
    spend = {"id": "s1", "action": "chat", "hold_id": "run"}
    used = platform.post(USE, spend)
    assert (used.status_code, used.json["credits"], used.json["available"]) == (200, "2.5", "95")
    assert platform.post(USE, spend).json == used.json
    before = money()
    response = platform.post(USE, {"action": "chat", "quantity": 2, "hold_id": "run"})
    assert refused(response, 402, "limit_reached")
    facts = {name: response.json[name] for name in ("binding", "hold_id", "needed", "available")}
    assert facts == {"binding": "run", "hold_id": "run", "needed": "5", "available": "2.5"}
    assert money() == before
    assert platform.balance() == ("97.5", "2.5", "95")


def test_hold_and_settlement_that_reach_the_threshold_enqueue_a_check(
    platform: Platform, ledger: Ledger, acme: str, queue: Queue
) -> None:
    _allow_topups(ledger, acme)
    queue.broker.client.flushdb()  # type: ignore[attr-defined]
    platform.hold("small", "10")
    assert _checks(queue) == 0
    platform.hold("large", "60")
    assert _checks(queue) == 1
    platform.do("release", "large")
    ledger.set_auto_topup(acme, {"enabled": False}, "tests")
    _allow_topups(ledger, acme)
    queue.broker.client.flushdb()  # type: ignore[attr-defined]
    platform.do("settle", "small", amount="60")
    assert _checks(queue) == 1


def test_each_call_wants_its_scope(client: FlaskClient, key: KeyMaker, acme: str, platform: Platform) -> None:
    platform.hold()
    reader, spender = (Platform(client, key([scope], acme)) for scope in ("read", "spend"))
    assert reader.get().status_code == 200
    assert refused(spender.get(), 403, "scope_missing")
    assert refused(reader.hold("x"), 403, "scope_missing")
    for verb in ("extend", "release"):
        assert refused(reader.do(verb), 403, "scope_missing")
        assert spender.do(verb).status_code == 200


WRONG_AMOUNTS = [-1, "-1", 1.5, "1e3", True, 2**63, "1.0000001", "", None, [], "\N{FULLWIDTH DIGIT ONE}"]
WRONG_SECONDS = [0, -1, 86_401, 1.5, "900", True, 2**63]
PLACE: list[dict[str, Any]] = [
    {},
    *({"amount": amount} for amount in [0, "0", *WRONG_AMOUNTS]),
    *({"amount": "1", "expires_in": seconds} for seconds in [*WRONG_SECONDS, None]),
    {"action": "chat", "quantity": 0},
    {"action": "unpriced"},
    {"amount": "1", "agent": "a", "agent_type": "b"},
    {"amount": "1", "hold_id": "x"},
    {"amount": "1", "parent_id": ""},
    {"amount": "1", "id": "a\n"},
]
SETTLE: list[dict[str, Any]] = [
    *({"amount": amount} for amount in WRONG_AMOUNTS if amount is not None),
    *({"usage": {"amount": amount}} for amount in WRONG_AMOUNTS),
    {"amount": "1", "usage": {"action": "chat"}},
    {"amount": "1", "final": False},
    {"amount": "1", "final": "no", "id": "d"},
    {"amount": "1", "reserve": "1"},
    {"amount": "1", "final": True, "reserve": "1", "id": "d"},
    {"amount": "1", "expires_in": 5},
    *({"amount": "1", "final": False, "id": "d", "expires_in": seconds} for seconds in WRONG_SECONDS),
    *({"amount": "1", "final": False, "id": "d", "reserve": amount} for amount in (0, "0", "-1", 1.5, True)),
    {"usage": []},
    {"usage": "chat"},
    {"usage": [{"action": "chat"}, {}]},
    {"usage": [{"action": "chat", "id": "x"}]},
    {"usage": [{"action": "chat"}, {"action": "unpriced"}]},
    {"usage": [{"action": "chat"}] * 1001},
    {"other": 1},
]


@pytest.mark.parametrize(
    ("where", "wrong"),
    [(HOLDS, PLACE), (path("h", "settle"), SETTLE), (path("h", "extend"), [{"expires_in": s} for s in WRONG_SECONDS]),
     (path("h", "release"), [{"amount": "1"}, {"account_id": 1}])],
    ids=["place", "settle", "extend", "release"],
)  # fmt: skip
def test_wrong_bodies_are_422_and_move_nothing(
    platform: Platform, money: Counts, where: str, wrong: list[Any]
) -> None:
    platform.hold()
    before = money()
    for body in (*wrong, [], 1, "x"):
        response = platform.client.post(where, json=body, headers=platform.token)
        assert response.status_code == 422, (body, response.json)
        wanted = "unknown_action" if "unpriced" in str(body) else "invalid_request"
        assert response.json["code"] == wanted, body
    assert money() == before


@pytest.mark.parametrize("hold_id", ["a%00b", "a%0Ab", "x" * 256, "%E2%80%8B"])
def test_ids_that_no_hold_can_have_are_refused(platform: Platform, hold_id: str) -> None:
    response = platform.client.get(f"{HOLDS}/{hold_id}", headers=platform.token)
    assert refused(response, 422, "invalid_request")
    assert response.json["errors"][0]["field"] == "id"


def test_address_takes_its_own_methods_only(platform: Platform) -> None:
    assert platform.client.delete(path("h"), headers=platform.token).status_code == 405
    assert platform.post(path("h", "close")).status_code == 405


def test_paths_of_holds_are_documented_with_their_parameter(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").json["paths"]
    for where in ("", "/settle", "/extend", "/release"):
        for operation in paths["/api/credits/holds/{id}" + where].values():
            parameter = operation["parameters"][0]
            assert (parameter["name"], parameter["in"], parameter["required"]) == ("id", "path", True)
    assert "URL-encoded" in client.get("/docs").text
    settle = paths["/api/credits/holds/{id}/settle"]["post"]
    assert not [p for p in settle["parameters"] if p["in"] == "header"]
    assert [p["name"] for p in paths["/api/credits/holds"]["post"]["parameters"]] == ["Idempotency-Key"]
