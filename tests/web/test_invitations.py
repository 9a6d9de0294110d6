"""Invitations on the pages: from the form of an owner to the membership of whoever holds the link."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from pydantic import SecretStr

from local.supabase.app import LocalSupabase
from shared import invite_links
from shared.ledger import Ledger
from shared.queue import Queue
from shared.settings import Settings
from tests.web.at_supabase import settings, supabase
from tests.web.browsing import EMAIL, PASSWORD, SITE, sign_in, token_of
from tests.web.conftest import Counts, FakeGateway
from web import create_app
from web.limits import MAILS_PER_EMAIL

__all__ = ["settings", "supabase"]

NEW = "new@example.com"


@pytest.fixture
def owner(client: FlaskClient, supabase: LocalSupabase, ledger: Ledger, acme: str) -> FlaskClient:
    """A browser of ada, who owns acme."""
    ledger.set_member(acme, str(supabase.auth.create_user(EMAIL, PASSWORD)["id"]), "owner", "tests")
    sign_in(client)
    return client


@pytest.fixture
def guest(app: Flask, supabase: LocalSupabase) -> FlaskClient:
    """A browser in which nobody is signed in, and a person with another address than the one that is invited."""
    supabase.auth.create_user("private@example.com", PASSWORD)
    return app.test_client()


def send(browser: FlaskClient, path: str, **form: str) -> str:
    page = browser.get("/billing/members").text
    found = re.search(r'name="request_id" value="(form_\w+)"', page)
    assert found
    form = {"csrf_token": token_of(page), "request_id": found[1]} | form
    answer = browser.post(path, data=form, follow_redirects=True)
    assert answer.status_code == 200
    return answer.text


def invite(browser: FlaskClient, email: str = NEW, role: str = "admin") -> str:
    return send(browser, "/billing/members/invite", email=email, role=role)


def link(page: str) -> str:
    found = re.search(rf'<code class="secret">{SITE}(/billing/invitations/[^<]+)</code>', page)
    assert found
    return found[1]


def test_from_the_form_to_the_membership(
    owner: FlaskClient, guest: FlaskClient, ledger: Ledger, acme: str
) -> None:
    page = invite(owner)
    assert "Mails are not set up here: pass on the link below" in page
    path = link(page)
    wall = guest.get(path)
    assert wall.status_code == 401
    assert f'name="next" value="{path}"' in wall.text
    assert sign_in(guest, email="private@example.com", next=path).location == path
    shown = guest.get(path).text
    for text in ("Join Acme", "<strong>admin</strong>", NEW, "private@example.com"):
        assert text in shown
    assert guest.get("/billing").status_code == 403, "looking is not joining"
    assert guest.post(path).status_code == 400, "without the token of the form"
    joined = guest.post(path, data={"csrf_token": token_of(shown)}, follow_redirects=True)
    assert joined.status_code == 200
    assert "You are a member of Acme now, with the role admin" in joined.text
    assert {(m["role"], m["email"]) for m in ledger.list_members(acme)} == {
        ("owner", EMAIL),
        ("admin", "private@example.com"),
    }
    again = guest.get(path)
    assert again.status_code == 410
    assert "was accepted already" in again.text
    assert NEW not in owner.get("/billing/members").text


def test_a_withdrawn_an_expired_and_a_forged_link_say_so(
    owner: FlaskClient, guest: FlaskClient, settings: Settings, money: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = link(invite(owner))
    sign_in(guest, email="private@example.com")
    token = token_of(guest.get(path).text)
    found = re.search(r'name="id" value="(inv_\w+)"', owner.get("/billing/members").text)
    assert found
    assert "withdrawn" in send(owner, "/billing/members/invitations/withdraw", id=found[1])
    before = money()
    gone = guest.get(path)
    assert (gone.status_code, "This invitation was withdrawn" in gone.text) == (410, True)
    assert guest.post(path, data={"csrf_token": token}).status_code == 409
    forged = URLSafeTimedSerializer("another secret", salt="invite-link").dumps(["acme", found[1]])
    for wrong in (f"/billing/invitations/{forged}", f"{path}x", "/billing/invitations/x"):
        assert guest.get(wrong).status_code == 403
        assert guest.post(wrong, data={"csrf_token": token}).status_code == 403
    monkeypatch.setattr(invite_links, "LINK_SECONDS", -1)
    late = guest.get(path)
    assert (late.status_code, "This invitation has expired" in late.text) == (410, True)
    assert money() == before


def test_a_payment_link_is_no_invitation(owner: FlaskClient, settings: Settings) -> None:
    serializer = URLSafeTimedSerializer(settings.secret_key.get_secret_value(), salt="pay-link")
    assert owner.get(f"/billing/invitations/{serializer.dumps(['acme', 'inv_1'])}").status_code == 403


def test_a_member_who_opens_it_keeps_the_role_and_leaves_it_open(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    path = link(invite(owner, role="member"))
    page = owner.get(path)
    assert page.status_code == 200
    assert "You are a member already" in page.text
    assert owner.post(path, data={"csrf_token": token_of(page.text)}).status_code == 409
    assert [m["role"] for m in ledger.list_members(acme)] == ["owner"]
    assert [row["email"] for row in ledger.list_invitations(acme)] == [NEW]


def test_wrong_invitations_are_told_above_the_form(owner: FlaskClient, ledger: Ledger, acme: str) -> None:
    assert "is a member of this account already" in invite(owner, EMAIL.upper())
    invite(owner)
    assert "is open already" in invite(owner)
    for email, role in (("nobody", "admin"), ("", "admin"), ("x@example.com", "king"), ("x@example.com", "")):
        assert 'class="notice bad"' in invite(owner, email, role)
    assert len(ledger.list_invitations(acme)) == 1


def test_a_double_click_is_one_invitation(owner: FlaskClient, ledger: Ledger, acme: str) -> None:
    for _ in range(2):
        send(owner, "/billing/members/invite", email=NEW, role="admin", request_id="form_1")
    assert len(ledger.list_invitations(acme)) == 1


def test_mails_to_one_address_are_limited(owner: FlaskClient, ledger: Ledger, acme: str) -> None:
    page = owner.get("/billing/members").text
    statuses = []
    for number in range(MAILS_PER_EMAIL.amount + 1):
        form = {"csrf_token": token_of(page), "request_id": f"form_{number}", "email": "victim@example.com"}
        statuses.append(owner.post("/billing/members/invite", data=form | {"role": "member"}).status_code)
        for row in ledger.list_invitations(acme):
            ledger.withdraw_invitation(acme, row["id"], "tests")
    assert statuses == [303] * MAILS_PER_EMAIL.amount + [429]


def test_with_a_mail_server_the_link_is_in_the_mail_alone(
    settings: Settings, ledger: Ledger, queue: Queue, gateway: FakeGateway, owner: FlaskClient
) -> None:
    mailing = settings.model_copy(update={"smtp_url": SecretStr("smtp://localhost:2525")})
    browser = create_app(mailing, ledger=ledger, queue=queue, gateway=gateway).test_client()  # type: ignore[arg-type]
    sign_in(browser)
    page = invite(browser)
    assert f"An invitation to {NEW} is on its way" in page
    assert "/billing/invitations/" not in page
    assert "Mails are not set up" not in page


def test_links_are_for_one_account_and_one_invitation(settings: Settings) -> None:
    url = invite_links.invite_url(settings, "acme", "inv_1")
    token = urlsplit(url).path.rpartition("/")[2]
    assert invite_links.invitation_of(settings, token) == ("acme", "inv_1")
