"""What admins may do on the pages and what stays the owners'; whose account a form is about; that refusals are logged."""

from __future__ import annotations

import logging
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared.ledger import Ledger
from shared.settings import Settings
from tests.web.browsing import token_of
from tests.web.conftest import Counts, FakeGateway
from tests.web.identity import OWNER, STRANGER
from tests.web.test_identity_pages import PAGES
from web.local_login import login_url

OWNERS = {
    ("POST", "/billing/payment-methods/add"),
    ("GET", "/billing/payment-methods/add/<intent_id>"),
    ("GET", "/billing/payment-methods/added/<intent_id>"),
    ("POST", "/billing/payment-methods/<method_id>/default"),
    ("GET", "/billing/payment-methods/<method_id>/remove"),
    ("POST", "/billing/payment-methods/<method_id>/remove"),
    ("POST", "/billing/portal"),
    ("GET", "/billing/auto-topup/review"),
    ("POST", "/billing/auto-topup"),
    ("POST", "/billing/auto-topup/off"),
    ("POST", "/billing/auto-topup/resume"),
    ("GET", "/billing/members"),
    ("POST", "/billing/members"),
    ("POST", "/billing/members/remove"),
    ("POST", "/billing/members/invite"),
    ("POST", "/billing/members/invitations/withdraw"),
    ("POST", "/billing/notices/account"),
}
"""What an admin is refused; everything else of /billing is open to one."""
INVITATION = "/billing/invitations/<token>"
"""Its link decides, not a role: tests/web/test_invitations.py."""


def signed_in(app: Flask, settings: Settings, account_id: str) -> FlaskClient:
    """A browser of an owner of the account."""
    browser, url = app.test_client(), urlsplit(login_url(settings, account_id))
    assert browser.get(f"{url.path}?{url.query}").status_code == 303
    return browser


@pytest.fixture
def owner(app: Flask, settings: Settings, acme: str) -> FlaskClient:
    return signed_in(app, settings, acme)


@pytest.fixture
def admin(owner: FlaskClient, ledger: Ledger, acme: str) -> FlaskClient:
    """The same browser, after its owner became an admin."""
    (myself,) = ledger.list_members(acme)
    ledger.set_member(acme, OWNER, "owner", "tests")
    ledger.set_member(acme, myself["user_id"], "admin", "tests")
    return owner


@pytest.fixture
def other(ledger: Ledger) -> str:
    """Somebody else's account, with a purchase that is open, a hold and an endpoint."""
    ledger.open_account("other", "Other Ltd", "o@o.example", None, 7_000_000, "tests")
    ledger.set_member("other", STRANGER, "owner", "tests")
    ledger.link_customer("other", "cus_other")
    ledger.open_purchase("pay_others", "other", "credits_100", 1, "cus_other")
    return "other"


def test_82_an_admin_gets_in_everywhere_but_where_only_owners_do(admin: FlaskClient, money: Counts) -> None:
    form = {"csrf_token": token_of(admin.get("/billing").text), "levels": "x", "enabled": "perhaps"}
    before, refused = money(), set()
    for (method, path), expected in PAGES.items():
        if expected is None or not path.startswith("/billing") or path == INVITATION:
            continue
        answer = admin.open(path, method=method, data=form if method == "POST" else None)
        assert answer.status_code < 500, (method, path)
        if answer.status_code == 403:
            refused.add((method, path))
            assert "Your role does not allow this" in answer.text
    assert refused == OWNERS
    assert money() == before


def test_82_forms_of_owners_are_offered_to_owners_alone(
    app: Flask, settings: Settings, admin: FlaskClient, ledger: Ledger, acme: str
) -> None:
    owners = {path.split("<")[0] for method, path in OWNERS if method == "POST"}

    def offered() -> set[str]:
        shown = [
            path for method, path in PAGES if (method, path[:8]) == ("GET", "/billing") and "<" not in path
        ]
        forms = re.findall(r'action="([^"]+)"', "".join(admin.get(path).text for path in shown))
        return {form for form in forms if any(form.startswith(path) for path in owners)}

    assert offered() == set()
    myself = next(member for member in ledger.list_members(acme) if member["role"] == "admin")
    ledger.set_member(acme, myself["user_id"], "owner", "tests")
    assert {"/billing/portal", "/billing/members"} <= offered()


def test_82_the_role_is_that_of_the_account_in_view(owner: FlaskClient, ledger: Ledger, acme: str) -> None:
    (myself,) = ledger.list_members(acme)
    for account in ("aaa", "zzz"):
        ledger.open_account(account, account, None, OWNER, 0, "tests")
        ledger.set_member(account, myself["user_id"], "member", "tests")
    for account, role, status in (("aaa", "member", 403), ("acme", "owner", 303), ("zzz", "member", 403)):
        form = {"csrf_token": token_of(owner.get("/billing").text)}
        assert owner.post("/billing/account", data=form | {"account_id": account}).status_code == 303
        form = {"csrf_token": token_of(owner.get("/billing").text)}
        assert owner.post("/billing/auto-topup/off", data=form).status_code == status
        assert (f"Your role in this account is {role}" in owner.get("/billing/auto-topup").text) == (
            role == "member"
        )
        assert len(ledger.list_auto_topup_consents(account, 9)) == (account == acme)


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("checkout", {"request_id": "form_0", "package_id": "credits_100", "quantity": "1", "quoted": "1"}),
        ("limits", {"scope": "agent", "scope_id": "a", "window": "day", "credits": "5", "hard": "true"}),
        ("notices/mail", {"topic": "balance.low", "enabled": "false"}),
        ("notices/levels", {"levels": "5"}),
        ("notices/webhooks", {"request_id": "form_1", "url": "https://hooks.example/"}),
        ("members", {"user_id": OWNER, "role": "member"}),
        ("members/remove", {"user_id": STRANGER}),
        ("auto-topup/off", {}),
    ],
)
def test_88_a_form_acts_for_the_account_in_view_whatever_it_names(
    owner: FlaskClient, ledger: Ledger, gateway: FakeGateway, other: str, path: str, form: dict[str, str]
) -> None:
    named = {"account_id": other, "account": other, "customer": "cus_other", "customer_id": "cus_other"}
    token, before = token_of(owner.get("/billing").text), everything_of(ledger, other)
    answer = owner.post(f"/billing/{path}?account_id={other}", data=named | {"csrf_token": token} | form)
    assert answer.status_code in (200, 303)
    assert everything_of(ledger, other) == before
    assert [(payment["account_id"], more["customer_id"]) for payment, more in gateway.sessions] == (
        [("acme", "cus_acme")] if path == "checkout" else []
    )


def everything_of(ledger: Ledger, account_id: str) -> list[Any]:
    """What forms could change of an account."""
    balance = ledger.get_balance(account_id)
    asked = (
        ledger.list_limits, ledger.list_members, ledger.list_webhook_endpoints, ledger.get_notice_preferences,
        ledger.get_low_levels, ledger.get_auto_topup, ledger.get_customer,
    )  # fmt: skip
    return [
        *(ask(account_id) for ask in asked),
        ledger.list_payments(account_id, 99, None)["data"],
        ledger.list_auto_topup_consents(account_id, 99),
        {name: balance[name] for name in ("available", "held", "status")},
    ]


def test_81_no_page_shows_another_account_that_its_address_names(owner: FlaskClient, other: str) -> None:
    looked_at = 0
    for (method, path), expected in PAGES.items():
        if method != "GET" or expected is None or not path.startswith("/billing") or "<" in path:
            continue
        answer = owner.get(f"{path}?account_id={other}&account={other}&customer=cus_other")
        # The parts of pages that refresh themselves refuse an account that is not in view.
        looked_at += answer.status_code in (200, 409)
        for theirs in ("Other Ltd", "pay_others", "cus_other", "o@o.example", STRANGER):
            assert theirs not in answer.text, path
    assert looked_at > 15


def test_81_the_same_order_of_two_accounts_is_two_purchases(
    app: Flask, settings: Settings, ledger: Ledger, owner: FlaskClient, gateway: FakeGateway, other: str
) -> None:
    """The ids of payments come from the order, so those of two accounts must not meet."""
    form = {"request_id": "form_0", "package_id": "credits_250", "quantity": "2", "quoted": "2"}
    ids = {}
    for account, browser in (("acme", owner), (other, signed_in(app, settings, other))):
        token = token_of(browser.get("/billing").text)
        assert browser.post("/billing/checkout", data=form | {"csrf_token": token}).status_code == 303
        ids[account] = ledger.list_payments(account, 1, None)["data"][0]["id"]
    assert ids["acme"] != ids[other]
    assert [payment["account_id"] for payment, _ in gateway.sessions] == ["acme", other]


def test_81_82_refusals_of_pages_are_logged_with_who_asked_for_what(
    admin: FlaskClient, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = token_of(admin.get("/billing").text)
    for method, path, status, code in (
        ("GET", "/billing/success?payment=pay_others", 404, "not_found"),
        ("GET", "/billing/failure?payment=pay_others", 404, "not_found"),
        ("GET", "/billing/buy/pay_others", 404, "not_found"),
        ("POST", "/billing/buy/pay_others/cancel", 404, "not_found"),
        ("POST", "/billing/account", 404, "unknown_account"),
        ("POST", "/billing/auto-topup/off", 403, "role_missing"),
    ):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            data = {"csrf_token": token, "account_id": other} if method == "POST" else None
            assert admin.open(path, method=method, data=data).status_code == status
        (line,) = (record for record in caplog.records if record.message == f"refused: {code}")
        fields = vars(line)
        assert fields["path"] == path.partition("?")[0]
        assert fields["account"] == "acme"
        assert fields["actor"].startswith("member:")
