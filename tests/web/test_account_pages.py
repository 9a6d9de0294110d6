"""The pages of limits, notices and members: what they show, what their forms do, and what a refusal leaves alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from limits import parse

from shared.db import PostgresDatabase as Calls
from shared.ledger import Ledger
from shared.notices import ACCOUNT_TOPICS
from shared.settings import Settings
from tests.support import Database
from tests.web.browsing import rows, token_of
from tests.web.conftest import Counts
from web import limits as rates
from web.local_login import login_url

CALLS_MAX = 8
OTHER = "00000000-0000-4000-8000-00000000000b"
LIMIT = {"scope": "agent", "scope_id": "<b>scout", "window": "day", "credits": "50", "hard": "true"}


@pytest.fixture
def owner(client: FlaskClient, settings: Settings, acme: str) -> FlaskClient:
    """A browser of an owner of acme."""
    url = urlsplit(login_url(settings, acme))
    assert client.get(f"{url.path}?{url.query}").status_code == 303
    return client


def send(browser: FlaskClient, path: str, **form: Any) -> str:
    """Sends a form, and answers the page that tells what happened."""
    token = token_of(browser.get("/billing").text)
    answer = browser.post(path, data={"csrf_token": token} | form, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return answer.text


def faulty(browser: FlaskClient, path: str, **form: Any) -> dict[str, str]:
    """The faults by field of a form that is refused: each has the text that the field points to."""
    token = token_of(browser.get("/billing").text)
    answer = browser.post(path, data={"csrf_token": token} | form)
    assert answer.status_code == 422, answer.text
    assert "Nothing was saved." in told(answer.text, "bad")[0]
    found = dict(re.findall(r'<small id="([\w-]+)-fault" class="fault">([^<]+)</small>', answer.text))
    for field, said in found.items():
        assert re.search(
            rf'id="{field}"[^>]* aria-invalid="true" aria-describedby="{field}-fault[ "]', answer.text
        ), field
        assert not re.search(r"string|pattern|input|literal|[a-z]\.\d|_", said, re.IGNORECASE), said
    browser.shown = answer.text  # type: ignore[attr-defined]
    return found


def told(page: str, kind: str) -> list[str]:
    return re.findall(rf'<p class="notice {kind}" role="\w+">([^<]+)</p>', page)


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The database calls of what is done inside."""
    made: list[str] = []
    call = Calls.call

    def count(self: Calls, function: str, **params: object) -> Any:
        made.append(function)
        return call(self, function, **params)

    with monkeypatch.context() as patched:
        patched.setattr(Calls, "call", count)
        yield made


@pytest.mark.parametrize("page", ["limits", "notices", "members"])
def test_page_asks_the_database_a_few_times_only(
    owner: FlaskClient, ledger: Ledger, acme: str, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    for number in range(20):
        ledger.set_limit(acme, LIMIT | {"scope_id": f"a{number}", "credits": 5, "hard": True}, "tests")
        ledger.place_hold(acme, {"id": f"h{number}", "amount": 1_000_000})
    with counted(monkeypatch) as made:
        shown = owner.get(f"/billing/{page}")
    assert shown.status_code == 200
    assert 0 < len(made) <= CALLS_MAX, made


def test_limit_is_set_changed_and_removed(owner: FlaskClient, ledger: Ledger, acme: str) -> None:
    page = send(owner, "/billing/limits", **LIMIT)
    assert "Work that would pass it is refused." in told(page, "good")[0]
    assert "<b>scout" not in page
    ledger.spend_credits(acme, {"id": "s1", "action": "chat", "quantity": 10, "agent": "<b>scout"})
    ledger.place_hold(acme, {"id": "h1", "amount": 5_000_000, "agent": "<b>scout"})
    page = owner.get("/billing/limits").text
    assert re.search(r"<strong>25</strong> used, <strong>5</strong> held of 50", page)
    assert '<progress value="60" max="100"' in page
    page = send(owner, "/billing/limits", **LIMIT | {"credits": "20.5", "hard": "false"})
    assert "Soft, reached" in page
    assert [(limit["credits"], limit["hard"]) for limit in ledger.list_limits(acme)] == [(20_500_000, False)]
    send(owner, "/billing/limits", **LIMIT | {"credits": "1,000.5"})
    assert ledger.list_limits(acme)[0]["credits"] == 1_000_500_000
    assert "is removed" in told(send(owner, "/billing/limits/remove", **LIMIT), "good")[0]
    assert ledger.list_limits(acme) == []


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("credits", ""),
        ("credits", "0"),
        ("credits", "-1"),
        ("credits", "1e3"),
        ("credits", "1.0000001"),
        ("credits", "12,5"),
        ("credits", "1000000001"),
        ("scope", "account"),
        ("scope_id", ""),
        ("scope_id", "a\0b"),
        ("scope_id", "x" * 256),
        ("window", "year"),
        ("hard", "perhaps"),
    ],
)
def test_wrong_limit_is_shown_again_with_the_fault_at_its_field_and_changes_nothing(
    owner: FlaskClient, money: Counts, field: str, wrong: str
) -> None:
    before = money()
    assert list(faulty(owner, "/billing/limits", **LIMIT | {"window": "week", field: wrong})) == [field]
    assert money() == before
    page = owner.shown  # type: ignore[attr-defined]
    kept = [
        ('value="&lt;b&gt;scout"', "scope_id"),
        ('value="50"', "credits"),
        ('value="week" selected', "window"),
    ]
    for shown, name in kept:
        assert (shown in page) is (name != field), name


def test_wrong_change_of_a_limit_is_shown_again_at_that_limit(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    for name in ("a", "b"):
        send(owner, "/billing/limits", **LIMIT | {"scope_id": name})
    wrong = LIMIT | {"scope_id": "b", "credits": "much", "hard": "false", "change": "1"}
    assert list(faulty(owner, "/billing/limits", **wrong)) == ["limit-2-credits"]
    page = owner.shown  # type: ignore[attr-defined]
    assert page.count('value="much"') == 1
    assert page.count("<details open>") == 1
    assert page.count('value="false" selected') == 1
    assert {limit["credits"] for limit in ledger.list_limits(acme)} == {50_000_000}


def test_hold_is_released_with_its_parts_and_another_accounts_is_not_found(
    owner: FlaskClient, ledger: Ledger, acme: str, money: Counts
) -> None:
    ledger.open_account("other", "Other", None, None, 10_000_000, "tests")
    ledger.place_hold("other", {"id": "theirs", "amount": 1_000_000})
    ledger.place_hold(acme, {"id": "run-1", "amount": 10_000_000, "agent": "scout"})
    ledger.place_hold(acme, {"id": "step-1", "amount": 2_000_000, "parent_id": "run-1"})
    page = owner.get("/billing/limits").text
    assert "part of run-1" in page
    assert "theirs" not in page
    before = money()
    token = token_of(page)
    for hold_id in ("theirs", "", "\0", "x" * 3000):
        answer = owner.post("/billing/limits/holds/release", data={"csrf_token": token, "hold_id": hold_id})
        assert answer.status_code == 404
    assert money() == before
    page = send(owner, "/billing/limits/holds/release", hold_id="run-1")
    assert "Nothing holds credits at the moment." in page
    assert ledger.get_balance(acme)["held"] == 0


def test_mail_is_switched_off_and_on_but_a_required_one_stays(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    page = send(owner, "/billing/notices/mail", topic="balance.low", enabled="false")
    said = "The mail “The balance reached one of the account&#39;s levels” is switched off."
    assert told(page, "good") == [said]
    mails = page[page.index("mail-title") : page.index("hooks-title")]
    read = re.sub(r'<input[^>]*>|title="[^"]*"', "", mails)
    for topic in ACCOUNT_TOPICS:
        assert f'title="{topic}"' in mails
        assert topic not in read
    assert ledger.get_notice_preferences(acme) == [
        {"topic": "balance.low", "channel": "mail", "enabled": False}
    ]
    page = send(owner, "/billing/notices/mail", topic="topup.paused", enabled="false")
    assert "cannot be switched off" in told(page, "bad")[0]
    assert len(told(send(owner, "/billing/notices/mail", topic="no.such", enabled="true"), "bad")) == 1
    assert len(ledger.get_notice_preferences(acme)) == 1


def test_levels_are_set_and_wrong_ones_are_not(owner: FlaskClient, ledger: Ledger, acme: str) -> None:
    send(owner, "/billing/notices/levels", levels="100, 20.5 ,0")
    assert ledger.get_low_levels(acme)["levels"] == [100_000_000, 20_500_000, 0]
    for wrong in ("a", "-1", "1 2 3 4 5 6", "1,2", "100,200", "1,100 20", "20,5"):
        assert list(faulty(owner, "/billing/notices/levels", levels=wrong)) == ["levels"]
        assert f'value="{wrong}"' in owner.shown  # type: ignore[attr-defined]
    assert ledger.get_low_levels(acme)["levels"] == [100_000_000, 20_500_000, 0]
    assert 'value="100, 20.5, 0"' in owner.get("/billing/notices").text
    for right in ("100 20.5 0", "100;20.5; 0", " 100 , 20.5,\t0, "):
        assert told(send(owner, "/billing/notices/levels", levels=right), "good") == ["The levels are set."]
        assert ledger.get_low_levels(acme)["levels"] == [100_000_000, 20_500_000, 0]
    assert "not told" in told(send(owner, "/billing/notices/levels", levels=""), "good")[0]
    assert ledger.get_low_levels(acme)["levels"] == []


def test_endpoint_shows_its_secret_once_and_a_double_click_is_one(
    owner: FlaskClient, ledger: Ledger, acme: str, database: Database
) -> None:
    form = {"request_id": "form_1", "url": "https://hooks.example/refill", "topics": "balance.low"}
    page = send(owner, "/billing/notices/webhooks", **form)
    secret = re.search(r"whsec_[\w+/=]+", page)
    assert secret is not None
    assert rows(database, "select secret from billing.webhook_endpoints") == [(secret[0],)]
    assert "registered already" in told(send(owner, "/billing/notices/webhooks", **form), "good")[0]
    (endpoint,) = ledger.list_webhook_endpoints(acme)
    assert (endpoint["account_id"], endpoint["topics"]) == (acme, ["balance.low"])
    assert secret[0] not in owner.get("/billing/notices").text
    page = send(owner, "/billing/notices/webhooks/roll", id=endpoint["id"])
    assert secret[0] not in page
    assert re.search(r"whsec_[\w+/=]+", page)
    assert "on its way" in told(send(owner, "/billing/notices/webhooks/test", id=endpoint["id"]), "good")[0]
    assert len(ledger.list_webhook_deliveries(endpoint["id"], acme, 10, None)["data"]) == 1
    send(owner, "/billing/notices/webhooks/remove", id=endpoint["id"])
    assert ledger.list_webhook_endpoints(acme) == []


def test_81_the_same_form_of_two_accounts_is_two_endpoints(
    owner: FlaskClient, app: Flask, settings: Settings, ledger: Ledger, acme: str
) -> None:
    ledger.open_account("other", "Other", None, None, 0, "tests")
    theirs, link = app.test_client(), urlsplit(login_url(settings, "other"))
    theirs.get(f"{link.path}?{link.query}")
    for browser in (owner, theirs):
        send(browser, "/billing/notices/webhooks", request_id="form_1", url="https://hooks.example/refill")
    assert [len(ledger.list_webhook_endpoints(account)) for account in (acme, "other")] == [1, 1]


@pytest.mark.parametrize(
    "url", ["", "x", "http://hooks.example", "https://a@b.example/", "javascript:alert(1)"]
)
def test_endpoint_with_a_wrong_url_is_not_registered(owner: FlaskClient, money: Counts, url: str) -> None:
    before = money()
    wrong = {"request_id": "form_1", "url": url, "topics": "balance.low"}
    assert list(faulty(owner, "/billing/notices/webhooks", **wrong)) == ["url"]
    page = owner.shown  # type: ignore[attr-defined]
    assert f'value="{url}"' in page
    assert 'value="balance.low" checked' in page
    assert money() == before


def confirmed(page: str) -> dict[str, tuple[str, str]]:
    """The buttons that ask once more, by the name of the summary that opens them: what happens, and the button's name."""
    asked = re.findall(
        r'<details class="confirm">\s*<summary>(.*?)</summary>\s*<p>([^<]+)</p>.*?<button[^>]*>(.*?)</button>'
        r"\s*</form>\s*</details>",
        page,
        re.DOTALL,
    )
    return {
        re.sub("<[^>]+>", "", opens): (said, re.sub("<[^>]+>", "", button)) for opens, said, button in asked
    }


def test_what_cannot_be_taken_back_asks_once_more_and_says_what_happens(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    for name in ("a", "b"):
        ledger.set_limit(acme, LIMIT | {"scope_id": name, "credits": 5, "hard": True}, "tests")
        ledger.place_hold(acme, {"id": f"run-{name}", "amount": 1_000_000})
        ledger.create_webhook_endpoint(
            "whe_" + name * 32, acme, f"https://{name}.example/", None, "whsec_x", "tests"
        )
    page = owner.get("/billing/limits").text
    asked = confirmed(page)
    assert list(asked) == [
        "Remove… the limit of agent a, each day",
        "Remove… the limit of agent b, each day",
        "Release… run-b",
        "Release… run-a",
    ]
    said, button = asked["Remove… the limit of agent a, each day"]
    assert said == "After this nothing bounds what agent a spends each day."
    assert button == "Remove the limit of agent a, each day"
    assert "may be refused" in asked["Release… run-a"][0]
    assert page.count('action="/billing/limits/remove"') == 2
    assert page.count('action="/billing/limits/holds/release"') == 2
    page = owner.get("/billing/notices").text
    asked = confirmed(page)
    assert sorted(asked) == [
        f"{verb}… {of}https://{name}.example/"
        for verb, of in (("New secret", "for "), ("Remove", ""))
        for name in ("a", "b")
    ]
    assert "24 hours" in asked["New secret… for https://a.example/"][0]
    assert "is not sent" in asked["Remove… https://a.example/"][0]
    assert len({button for _, button in asked.values()}) == 4
    for form in ("roll", "remove"):
        assert page.count(f'action="/billing/notices/webhooks/{form}"') == 2


def test_names_that_usage_carried_are_offered_for_a_limit(
    owner: FlaskClient, ledger: Ledger, acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = {"action": "chat", "agent": "scout<", "member_id": "ada", "department_id": "sales"}
    ledger.spend_credits(acme, {"id": "s1"} | used)
    ledger.spend_credits(acme, {"id": "s2", "action": "chat"})
    with counted(monkeypatch) as made:
        page = owner.get("/billing/limits").text
    assert len(made) <= CALLS_MAX, made
    listed = re.search(r'<datalist id="seen">(.*?)</datalist>', page, re.DOTALL)
    assert listed is not None
    assert re.findall(r'<option value="([^"]+)">([^<]+)</option>', listed[1]) == [
        ("sales", "Department"),
        ("ada", "Member"),
        ("scout&lt;", "Agent"),
    ]
    assert re.search(r'name="scope_id"[^>]* list="seen"', page)


def test_hidden_fields_that_were_tampered_with_are_refused_in_words_for_people(
    owner: FlaskClient, money: Counts
) -> None:
    before = money()
    for path, form in (("limits/remove", LIMIT | {"window": "year"}), ("notices/webhooks/test", {"id": "x"})):
        said = told(send(owner, f"/billing/{path}", **form), "bad")
        assert "it is missing, or not of the right form." in said[0]
    assert money() == before


@pytest.mark.parametrize("form", ["test", "roll", "enable", "remove"])
def test_81_endpoints_of_others_and_of_the_platform_are_not_found(
    owner: FlaskClient, ledger: Ledger, money: Counts, form: str
) -> None:
    ledger.open_account("other", "Other", None, None, 0, "tests")
    ids = ["whe_" + "1" * 32, "whe_" + "2" * 32, "whe_" + "3" * 32]
    for endpoint_id, account_id in zip(ids, ("other", None), strict=False):
        ledger.create_webhook_endpoint(
            endpoint_id, account_id, "https://h.example/", None, "whsec_x", "tests"
        )
    page = owner.get("/billing/notices").text
    assert "https://h.example/" not in page
    before, token = money(), token_of(page)
    for endpoint_id in ids:
        answer = owner.post(
            f"/billing/notices/webhooks/{form}", data={"csrf_token": token, "id": endpoint_id}
        )
        assert answer.status_code == 404
    assert money() == before


def test_endpoints_are_shown_to_admins_and_hidden_from_members(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    ledger.create_webhook_endpoint("whe_" + "1" * 32, acme, "https://h.example/", None, "whsec_x", "tests")
    (myself,) = ledger.list_members(acme)
    ledger.set_member(acme, OTHER, "owner", "tests")
    for role, shown in (("admin", True), ("member", False)):
        ledger.set_member(acme, myself["user_id"], role, "tests")  # type: ignore[arg-type]
        page = owner.get("/billing/notices")
        assert page.status_code == 200
        assert ("https://h.example/" in page.text) == shown
        assert "whsec_x" not in page.text


def test_test_messages_are_limited(
    owner: FlaskClient, ledger: Ledger, acme: str, money: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = "whe_" + "1" * 32
    ledger.create_webhook_endpoint(endpoint, acme, "https://h.example/", None, "whsec_x", "tests")
    monkeypatch.setattr(rates, "PER_ACCOUNT", parse("1 per hour"))
    form = {"csrf_token": token_of(owner.get("/billing").text), "id": endpoint}
    assert owner.post("/billing/notices/webhooks/test", data=form).status_code == 303
    before = money()
    assert owner.post("/billing/notices/webhooks/test", data=form).status_code == 429
    assert money() == before


def test_owner_adds_changes_and_removes_members_and_the_last_owner_stays(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    (myself,) = ledger.list_members(acme)
    page = owner.get("/billing/members").text
    assert "The only owner" in page
    assert 'href="/billing/members"' in page
    send(owner, "/billing/members", user_id=OTHER.upper(), role="member")
    send(owner, "/billing/members", user_id=OTHER, role="admin")
    assert {m["user_id"]: m["role"] for m in ledger.list_members(acme)} == {
        myself["user_id"]: "owner",
        OTHER: "admin",
    }
    for form in ({"role": "member"}, {}):
        path = "/billing/members" if form else "/billing/members/remove"
        assert len(told(send(owner, path, user_id=myself["user_id"], **form), "bad")) == 1
    for wrong in ({"user_id": "ada@example.com"}, {"role": "king"}, {"user_id": ""}):
        form = {"user_id": OTHER, "role": "owner"} | wrong
        assert len(told(send(owner, "/billing/members", **form), "bad")) == 1
    send(owner, "/billing/members/remove", user_id=OTHER)
    assert [m["role"] for m in ledger.list_members(acme)] == ["owner"]


def test_owner_who_steps_back_lands_on_a_page_that_the_new_role_may_see(
    owner: FlaskClient, app: Flask, ledger: Ledger, acme: str
) -> None:
    (myself,) = ledger.list_members(acme)
    ledger.set_member(acme, OTHER, "owner", "tests")
    page = send(owner, "/billing/members", user_id=myself["user_id"], role="member")
    assert "has the role member now" in told(page, "good")[0]
    assert "/billing/members" not in page
    assert owner.get("/billing/members").status_code == 403
    for path in ("/billing/limits", "/billing/notices"):
        page = owner.get(path).text
        assert f'action="{path}' not in page
