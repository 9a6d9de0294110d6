"""Every page and every role: who gets in, what is offered, and that a refusal moves nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from local.supabase.app import LocalSupabase
from shared.ledger import Ledger
from shared.settings import Settings
from tests.support import Database
from tests.web.at_supabase import ada, settings, supabase
from tests.web.browsing import (
    PASSWORD,
    SITE,
    cookie,
    rows,
    sign_in,
    token_of,
)
from tests.web.conftest import Counts, FakeGateway
from web import create_app
from web.local_login import login_url

__all__ = ["ada", "settings", "supabase"]


Person = Callable[[str], FlaskClient]


@pytest.fixture
def person(app: Flask, supabase: LocalSupabase, ledger: Ledger, acme: str) -> Person:
    """A browser of somebody who is signed in with a role in acme; of nobody's member with the role none."""

    def make(role: str) -> FlaskClient:
        email = f"{role}@example.com"
        user = supabase.auth.create_user(email, PASSWORD)
        if role != "none":
            ledger.set_member(acme, str(user["id"]), role, "tests")  # type: ignore[arg-type]
        client = app.test_client()
        assert sign_in(client, email=email).status_code == 303
        return client

    return make


OTHERS = "payment=pay_others"
PAGES: dict[tuple[str, str], tuple[int, int, int] | None] = {
    ("GET", "/billing"): (401, 403, 200),
    ("GET", "/billing/live"): (401, 403, 200),
    ("GET", "/billing/balance"): (401, 403, 200),
    ("GET", "/billing/auto-topup/live"): (401, 403, 200),
    ("GET", "/billing/usage"): (401, 403, 200),
    ("GET", "/billing/usage.csv"): (401, 403, 200),
    ("GET", "/billing/history"): (401, 403, 200),
    ("GET", "/billing/history.csv"): (401, 403, 200),
    ("GET", "/billing/statement"): (401, 403, 200),
    ("GET", "/billing/statement.csv"): (401, 403, 200),
    ("GET", "/billing/buy"): (401, 403, 200),
    ("POST", "/billing/buy"): (401, 403, 403),
    ("POST", "/billing/buy/pay"): (401, 403, 403),
    ("GET", "/billing/buy/<payment_id>"): (401, 403, 403),
    ("POST", "/billing/buy/<payment_id>/cancel"): (401, 403, 403),
    ("GET", "/billing/payments"): (401, 403, 200),
    ("GET", "/billing/payment-methods"): (401, 403, 200),
    ("POST", "/billing/payment-methods/add"): (401, 403, 403),
    ("GET", "/billing/payment-methods/add/<intent_id>"): (401, 403, 403),
    ("GET", "/billing/payment-methods/added/<intent_id>"): (401, 403, 403),
    ("POST", "/billing/payment-methods/<method_id>/default"): (401, 403, 403),
    ("GET", "/billing/payment-methods/<method_id>/remove"): (401, 403, 403),
    ("POST", "/billing/payment-methods/<method_id>/remove"): (401, 403, 403),
    ("POST", "/billing/portal"): (401, 403, 403),
    ("GET", "/billing/auto-topup"): (401, 403, 200),
    ("GET", "/billing/auto-topup/review"): (401, 403, 403),
    ("POST", "/billing/auto-topup"): (401, 403, 403),
    ("POST", "/billing/auto-topup/off"): (401, 403, 403),
    ("POST", "/billing/auto-topup/resume"): (401, 403, 403),
    ("GET", "/billing/plans"): (401, 403, 200),
    ("POST", "/billing/plans/subscribe"): (401, 403, 403),
    ("GET", "/billing/success"): (401, 403, 404),
    ("GET", "/billing/failure"): (401, 403, 404),
    ("POST", "/billing/account"): (401, 403, 404),
    ("POST", "/billing/checkout"): (401, 403, 403),
    ("GET", "/billing/limits"): (401, 403, 200),
    ("POST", "/billing/limits"): (401, 403, 403),
    ("POST", "/billing/limits/remove"): (401, 403, 403),
    ("POST", "/billing/limits/holds/release"): (401, 403, 403),
    ("GET", "/billing/notices"): (401, 403, 200),
    ("POST", "/billing/notices/mail"): (401, 403, 403),
    ("POST", "/billing/notices/account"): (401, 403, 403),
    ("POST", "/billing/notices/levels"): (401, 403, 403),
    ("POST", "/billing/notices/webhooks"): (401, 403, 403),
    ("POST", "/billing/notices/webhooks/test"): (401, 403, 403),
    ("POST", "/billing/notices/webhooks/roll"): (401, 403, 403),
    ("POST", "/billing/notices/webhooks/enable"): (401, 403, 403),
    ("POST", "/billing/notices/webhooks/remove"): (401, 403, 403),
    ("GET", "/billing/members"): (401, 403, 403),
    ("POST", "/billing/members"): (401, 403, 403),
    ("POST", "/billing/members/remove"): (401, 403, 403),
    ("POST", "/billing/members/invite"): (401, 403, 403),
    ("POST", "/billing/members/invitations/withdraw"): (401, 403, 403),
    ("GET", "/billing/invitations/<token>"): (401, 403, 403),
    ("POST", "/billing/invitations/<token>"): (401, 403, 403),
    ("GET", "/billing/pay/<token>"): None,
    ("GET", "/billing/pay/<token>/done"): None,
    ("GET", "/billing/return/<token>"): None,
    ("GET", "/billing/return/<token>/canceled"): None,
    ("POST", "/billing/sign-out"): None,
    ("GET", "/"): None,
    ("GET", "/sign-in"): None,
    ("POST", "/sign-in"): None,
    ("POST", "/sign-in/link"): None,
    ("GET", "/sign-in/with/<provider>"): None,
    ("GET", "/sign-in/callback"): None,
    ("GET", "/local/login"): None,
    ("GET", "/local/operator"): None,
    ("GET", "/ops"): (401, 403, 403),
    ("GET", "/ops/events"): (401, 403, 403),
    ("GET", "/ops/events/<event_id>"): (401, 403, 403),
    ("POST", "/ops/events/replay"): (401, 403, 403),
    ("POST", "/ops/events/replay-parked"): (401, 403, 403),
    ("GET", "/ops/dead-letters"): (401, 403, 403),
    ("POST", "/ops/dead-letters/requeue"): (401, 403, 403),
    ("POST", "/ops/dead-letters/delete"): (401, 403, 403),
    ("GET", "/ops/search"): (401, 403, 403),
    ("GET", "/ops/payments"): (401, 403, 403),
    ("GET", "/ops/payments/<payment_id>"): (401, 403, 403),
    ("POST", "/ops/payments/check"): (401, 403, 403),
    ("POST", "/ops/payments/close"): (401, 403, 403),
    ("GET", "/ops/holds"): (401, 403, 403),
    ("GET", "/ops/usage"): (401, 403, 403),
    ("POST", "/ops/usage/discard"): (401, 403, 403),
    ("GET", "/ops/notices"): (401, 403, 403),
    ("POST", "/ops/notices/replay"): (401, 403, 403),
    ("POST", "/ops/notices/replay-failed"): (401, 403, 403),
    ("GET", "/ops/topups/paused"): (401, 403, 403),
    ("GET", "/ops/topups"): (401, 403, 403),
    ("POST", "/ops/topups/cancel"): (401, 403, 403),
    ("POST", "/ops/topups/resume"): (401, 403, 403),
    ("GET", "/ops/invariants"): (401, 403, 403),
    ("POST", "/ops/invariants"): (401, 403, 403),
    ("GET", "/ops/accounts"): (401, 403, 403),
    ("GET", "/ops/accounts/<account_id>"): (401, 403, 403),
    ("POST", "/ops/accounts/adjust"): (401, 403, 403),
    ("POST", "/ops/accounts/extend-lot"): (401, 403, 403),
    ("POST", "/ops/accounts/unfreeze"): (401, 403, 403),
    ("GET", "/ops/adjustments"): (401, 403, 403),
    ("POST", "/ops/adjustments/decide"): (401, 403, 403),
    ("GET", "/ops/reconciliation"): (401, 403, 403),
    ("POST", "/ops/reconciliation"): (401, 403, 403),
    ("POST", "/ops/reconciliation/dismiss"): (401, 403, 403),
}
"""What nobody, a person without an account, and a member get who ask for another account's things where there are such;
None: a page for everybody."""


def test_81_82_every_page_and_who_gets_in(
    app: Flask, person: Person, ledger: Ledger, money: Counts, gateway: FakeGateway
) -> None:
    served = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if re.match(r"/$|/(billing|sign-in|local|ops)(/|$)", rule.rule)
    }
    assert served == set(PAGES)
    browsers = {"nobody": app.test_client(), "none": person("none"), "member": person("member")}
    tokens = [token_of(browser.get("/billing").text) for browser in browsers.values()]
    _others_payment(ledger)
    before = money()
    form = {"account_id": "other", "request_id": "form_1", "package_id": "credits_100"}
    for (method, path), expected in PAGES.items():
        if expected is None:
            continue
        answers = [
            browser.open(f"{path}?{OTHERS}" if method == "GET" else path, method=method,
                         data=form | {"csrf_token": token} if method == "POST" else None).status_code
            for browser, token in zip(browsers.values(), tokens, strict=True)
        ]  # fmt: skip
        assert tuple(answers) == expected, (method, path)
    assert money() == before
    assert gateway.sessions == []


def _others_payment(ledger: Ledger) -> None:
    ledger.open_account("other", "Other", None, None, 0, "tests")
    ledger.link_customer("other", "cus_other")
    ledger.open_purchase("pay_others", "other", "credits_100", 1, "cus_other")


def test_82_forms_that_a_role_may_not_use_are_not_offered_and_refused(
    person: Person, money: Counts, gateway: FakeGateway
) -> None:
    member, admin = person("member"), person("admin")
    page = member.get("/billing/buy?package_id=credits_100").text
    assert "/billing/checkout" not in page
    assert "Ask an admin or an owner" in page
    before = money()
    form = {"csrf_token": token_of(page), "request_id": "form_1", "package_id": "credits_100"}
    form |= {"quantity": "1", "quoted": "1"}
    refused = member.post("/billing/checkout", data=form)
    assert refused.status_code == 403
    assert "Your role does not allow this" in refused.text
    assert money() == before
    page = admin.get("/billing/buy?package_id=credits_100").text
    assert "/billing/checkout" in page
    bought = admin.post("/billing/checkout", data=form | {"csrf_token": token_of(page)})
    assert bought.status_code == 303
    assert len(gateway.sessions) == 1


def test_a_role_that_was_taken_away_is_gone_with_the_next_page(
    client: FlaskClient, ada: str, ledger: Ledger, acme: str
) -> None:
    sign_in(client)
    ledger.set_member(acme, "00000000-0000-4000-8000-00000000aaaa", "owner", "tests")
    assert client.get("/billing").status_code == 200
    ledger.remove_member(acme, ada, "tests")
    gone = client.get("/billing")
    assert gone.status_code == 403
    assert ada in gone.text


def test_switching_between_ones_own_accounts(client: FlaskClient, ada: str, ledger: Ledger) -> None:
    ledger.open_account("second", "Second Ltd", None, ada, 0, "tests")
    ledger.open_account("other", "Other", None, None, 0, "tests")
    sign_in(client)
    page = client.get("/billing").text
    assert '<option value="second">Second Ltd</option>' in page
    assert "Other" not in page
    token = token_of(page)
    assert (
        client.post("/billing/account", data={"csrf_token": token, "account_id": "second"}).status_code == 303
    )
    page = client.get("/billing").text
    assert '<option value="second" selected>' in page
    token = token_of(page)
    for account in ("other", "nobody", "", "\0"):
        refused = client.post("/billing/account", data={"csrf_token": token, "account_id": account})
        assert refused.status_code == 404
    assert '<option value="second" selected>' in client.get("/billing").text


def test_a_form_of_the_account_in_view_before_does_nothing_to_the_one_that_is_now(
    client: FlaskClient, ada: str, ledger: Ledger
) -> None:
    """Two windows: one shows acme's limits, the other has switched to another account."""
    ledger.open_account("second", "Second Ltd", None, ada, 0, "tests")
    sign_in(client)
    client.post(
        "/billing/account", data={"csrf_token": token_of(client.get("/billing").text), "account_id": "acme"}
    )
    token = token_of(client.get("/billing/limits").text)
    client.post("/billing/account", data={"csrf_token": token, "account_id": "second"})
    form = {
        "csrf_token": token,
        "scope": "agent",
        "scope_id": "x",
        "window": "day",
        "credits": "5",
        "hard": "true",
    }
    refused = client.post("/billing/limits", data=form, headers={"Referer": f"{SITE}/billing/limits"})
    assert refused.status_code == 400
    assert "switched the account in another window" in refused.text
    assert '<a href="/billing/limits" role="button">Open the page again</a>' in refused.text
    assert [ledger.list_limits(account) for account in ("acme", "second")] == [[], []]
    form["csrf_token"] = token_of(client.get("/billing/limits").text)
    assert client.post("/billing/limits", data=form).status_code == 303
    assert len(ledger.list_limits("second")) == 1


def test_posting_a_form_after_the_session_ended_leads_back_to_its_page(
    client: FlaskClient, ada: str, database: Database, gateway: FakeGateway
) -> None:
    sign_in(client)
    form = {
        "csrf_token": token_of(client.get("/billing").text),
        "request_id": "form_1",
        "package_id": "credits_100",
    }
    rows(database, "delete from billing.member_sessions returning 1")
    for referrer, where in (
        (f"{SITE}/billing/statement", "/billing/statement"),
        ("https://evil.example/x", "/billing"),
    ):
        wall = client.post("/billing/checkout", data=form, headers={"Referer": referrer})
        assert wall.status_code == 401
        assert f'name="next" value="{where}"' in wall.text
        assert "You were signed out. What you sent was not done." in wall.text
    assert gateway.sessions == []


def test_local_link_exists_in_local_modes_only_and_its_sessions_too(
    settings: Settings, ledger: Ledger, gateway: FakeGateway, acme: str, client: FlaskClient
) -> None:
    link = urlsplit(login_url(settings, acme))
    assert client.get(f"{link.path}?{link.query}").status_code == 303
    assert [m["role"] for m in ledger.list_members(acme)] == ["owner"]
    assert client.get("/billing").status_code == 200
    held = cookie(client)
    production = settings.model_copy(update={"environment": "production"})
    browser = create_app(production, ledger=ledger, gateway=gateway).test_client()  # type: ignore[arg-type]
    assert browser.get(f"{link.path}?{link.query}").status_code == 404
    browser.set_cookie("__Host-refill", held, secure=True)
    assert browser.get("/billing", base_url="https://localhost").status_code == 401
