"""Members of an account: adding, changing, removing; whom the records name; limits of what a member opens."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient

from shared.errors import Refused
from shared.ledger import Ledger
from shared.settings import Settings
from tests.support import Database
from tests.web.conftest import FakeGateway, KeyMaker, make_settings
from tests.web.identity import ADMIN, MEMBER, OWNER, STRANGER, Issuer, issuing
from web.api.auto_topup import CONSENT_TEXT_VERSION
from web.members import CACHE_SECONDS, Memberships


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def settings(dsn: str, redis_url: str, issuer: Issuer) -> Settings:
    return make_settings(dsn, redis_url, SUPABASE_URL=issuer.url)


@pytest.fixture
def owned(ledger: Ledger, acme: str) -> str:
    ledger.set_member(acme, OWNER, "owner", "tests")
    return acme


def actors(database: Database, action: str) -> list[str]:
    with database.connect() as connection:
        rows = connection.execute(
            "select actor from billing.audit_log where action = %s order by id", [action]
        )
        return [row[0] for row in rows.fetchall()]


def test_owner_adds_changes_and_removes_members(
    client: FlaskClient, issuer: Issuer, owned: str, database: Database
) -> None:
    token, url = issuer.headers(OWNER), f"/api/accounts/{owned}/members"
    for role in ("member", "admin", "admin"):
        answer = client.put(url, json={"user_id": ADMIN.upper(), "role": role}, headers=token)
        assert [(m["user_id"], m["role"]) for m in answer.json["data"]] == [(OWNER, "owner"), (ADMIN, role)]
    for _ in range(2):
        left = client.delete(f"{url}?user_id={ADMIN}", headers=token)
        assert [m["user_id"] for m in left.json["data"]] == [OWNER]
    assert actors(database, "member.set") == ["tests", f"member:{OWNER}", f"member:{OWNER}"]
    assert actors(database, "member.removed") == [f"member:{OWNER}"]


def test_an_api_key_with_scope_accounts_names_the_first_owner(
    client: FlaskClient, key: KeyMaker, acme: str
) -> None:
    url, token = f"/api/accounts/{acme}/members", key(["accounts"])
    assert client.put(url, json={"user_id": OWNER, "role": "owner"}, headers=token).status_code == 200
    assert [m["role"] for m in client.get(url, headers=token).json["data"]] == ["owner"]
    missing = client.put(
        "/api/accounts/nobody/members", json={"user_id": OWNER, "role": "owner"}, headers=token
    )
    assert (missing.status_code, missing.json["code"]) == (404, "unknown_account")


@pytest.mark.parametrize("way", ["remove", "demote"])
def test_last_owner_stays(client: FlaskClient, issuer: Issuer, owned: str, ledger: Ledger, way: str) -> None:
    ledger.set_member(owned, ADMIN, "admin", "tests")
    token, url = issuer.headers(OWNER), f"/api/accounts/{owned}/members"
    if way == "remove":
        answer = client.delete(f"{url}?user_id={OWNER}", headers=token)
    else:
        answer = client.put(url, json={"user_id": OWNER, "role": "admin"}, headers=token)
    assert (answer.status_code, answer.json["code"]) == (409, "state_conflict")
    assert [m["role"] for m in ledger.list_members(owned)] == ["owner", "admin"]
    ledger.set_member(owned, ADMIN, "owner", "tests")
    assert [m["user_id"] for m in ledger.remove_member(owned, OWNER, "tests")] == [ADMIN]


def test_two_owners_who_remove_each_other_at_once_leave_one(ledger: Ledger, owned: str) -> None:
    for _ in range(10):
        ledger.set_member(owned, OWNER, "owner", "tests")
        ledger.set_member(owned, ADMIN, "owner", "tests")

        def leave(user_id: str) -> bool:
            try:
                ledger.remove_member(owned, user_id, "tests")
            except Refused:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            left = list(pool.map(leave, (OWNER, ADMIN)))
        assert sorted(left) == [False, True]
        assert [m["role"] for m in ledger.list_members(owned)] == ["owner"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user_id": OWNER},
        {"user_id": OWNER, "role": "operator"},
        {"user_id": "x", "role": "admin"},
        {"user_id": OWNER, "role": "admin", "more": 1},
    ],
)
def test_wrong_members_are_refused(
    client: FlaskClient, issuer: Issuer, owned: str, ledger: Ledger, body: dict[str, str]
) -> None:
    answer = client.put(f"/api/accounts/{owned}/members", json=body, headers=issuer.headers(OWNER))
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    assert len(ledger.list_members(owned)) == 1


def test_consent_and_audit_name_the_member(
    client: FlaskClient, issuer: Issuer, owned: str, database: Database
) -> None:
    body = {
        "enabled": True,
        "threshold": "50",
        "amount": "250",
        "consent": {"text_version": CONSENT_TEXT_VERSION},
    }
    answer = client.put("/api/billing/auto-topup", json=body, headers=issuer.headers(OWNER))
    assert answer.status_code == 200
    assert answer.json["consent"]["actor"] == f"member:{OWNER}"
    assert actors(database, "auto_topup.set") == [f"member:{OWNER}"]


def test_88_a_members_price_and_customer_are_not_taken(
    client: FlaskClient, issuer: Issuer, owned: str, gateway: FakeGateway
) -> None:
    token = issuer.headers(OWNER)
    for more in (
        {"price": 1},
        {"amount": 1},
        {"credits": "9999"},
        {"customer": "cus_x"},
        {"currency": "eur"},
    ):
        answer = client.post(
            "/api/billing/checkout-sessions", json={"package_id": "credits_100"} | more, headers=token
        )
        assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    assert gateway.sessions == []
    client.post("/api/billing/checkout-sessions", json={"package_id": "credits_100"}, headers=token)
    assert gateway.sessions[0][0]["amount"] == 500


@pytest.mark.parametrize(
    "address", ["http://evil.example", "https://localhost:8000.evil.example", "//evil.example"]
)
def test_87_a_redirect_to_elsewhere_is_refused(
    client: FlaskClient, issuer: Issuer, owned: str, gateway: FakeGateway, address: str
) -> None:
    body = {"package_id": "credits_100", "success_url": address}
    answer = client.post("/api/billing/checkout-sessions", json=body, headers=issuer.headers(OWNER))
    assert answer.status_code == 422
    assert gateway.sessions == []


def test_90_a_member_of_many_accounts_has_one_limit(
    client: FlaskClient, issuer: Issuer, ledger: Ledger, gateway: FakeGateway
) -> None:
    statuses = []
    for number in range(12):
        ledger.open_account(f"a{number}", "A", None, STRANGER, 0, "tests")
        body = {"package_id": "credits_100", "account_id": f"a{number}"}
        statuses.append(
            client.post(
                "/api/billing/checkout-sessions", json=body, headers=issuer.headers(STRANGER)
            ).status_code
        )
    assert statuses.count(201) == 10
    assert statuses[-1] == 429


def test_a_repeat_with_one_idempotency_key_is_one_purchase_in_each_account(
    client: FlaskClient, issuer: Issuer, ledger: Ledger, owned: str, gateway: FakeGateway
) -> None:
    ledger.open_account("second", "Second", None, OWNER, 0, "tests")
    headers = issuer.headers(OWNER) | {"Idempotency-Key": "one"}

    def buy(account: str) -> str:
        body = {"package_id": "credits_100", "account_id": account}
        answer = client.post("/api/billing/checkout-sessions", json=body, headers=headers)
        return str(answer.json["id"])

    assert buy(owned) == buy(owned) != buy("second")
    assert len(gateway.sessions) == 2


def test_a_role_is_looked_up_once_in_a_while_and_ends_within_five_seconds() -> None:
    now, asked, rows = [0.0], [0], {(MEMBER, "acme"): "owner"}

    def lookup(user_id: str, account_id: str | None) -> object:
        asked[0] += 1
        role = rows.get((user_id, str(account_id)))
        return role and {"account_id": account_id, "role": role, "several": False}

    memberships = Memberships(lookup, clock=lambda: now[0])  # type: ignore[arg-type]
    for _ in range(50):
        assert memberships.resolve(MEMBER, "acme", "admin") == ("acme", "owner")
    assert asked[0] == 1
    del rows[MEMBER, "acme"]
    now[0] = CACHE_SECONDS
    assert CACHE_SECONDS <= 5
    for _ in range(50):
        with pytest.raises(Refused, match="no such account"):
            memberships.resolve(MEMBER, "acme", "member")
    assert asked[0] == 2
