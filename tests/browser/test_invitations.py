"""An invitation with real browsers: from an owner's form by the mailed link, past the sign-in page, to a membership."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from shared import invite_links
from supabase import create_client
from tests.flow.world import Account
from tests.support import wait_until
from workers import mail

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
PASSWORD = "correct horse"


@pytest.fixture
def guest(account: Account) -> str:
    """The address of a person who is a member of nothing."""
    stack = account.world.stack
    supabase = create_client(stack.settings["SUPABASE_URL"], stack.services.supabase_secret_key)
    address = f"guest-{secrets.token_hex(4)}@example.com"
    supabase.auth.admin.create_user({"email": address, "password": PASSWORD})
    return address


@pytest.fixture
def phone(browser: Browser, account: Account) -> Iterator[Page]:
    """The guest's browser, where nobody is signed in."""
    context = browser.new_context(viewport={"width": 375, "height": 800}, base_url=account.world.stack.url)
    yield context.new_page()
    context.close()


def mailed_link(account: Account, email: str) -> str:
    """The button of the mail that a worker would send to the address, as its HTML has it."""
    world = account.world

    def waiting() -> list[str]:
        return [row["id"] for row in world.ledger.list_invitations(account.id) if row["email"] == email]

    wait_until(lambda: waiting() != [], 10, "the invitation")
    notice = {
        "id": 1, "topic": "member.invited", "channel": "mail", "account_id": account.id, "email": email,
        "account_name": account.id, "payload": {"invitation_id": waiting()[0], "role": "admin"},
    }  # fmt: skip
    body = mail.compose(world.settings, notice).get_body(("html",))  # type: ignore[arg-type]
    assert body is not None
    found = re.search(r'href="([^"]+/billing/invitations/[^"]+)"', body.get_content())
    assert found
    assert invite_links.invitation_of(world.settings, found[1].rpartition("/")[2]).account_id == account.id
    return found[1]


def test_from_the_form_by_the_mail_to_the_membership(
    page: Page, phone: Page, account: Account, guest: str
) -> None:
    base = account.world.stack.url
    page.goto(f"{base}/billing/members")
    invited = f"invited-{guest}"
    page.get_by_label("Mail address").fill(invited)
    page.get_by_label("Role").first.select_option("admin")
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_role("status").first).to_contain_text("pass on the link below")
    expect(page.get_by_role("button", name=f"Withdraw the invitation to {invited}")).to_be_visible()

    link = mailed_link(account, invited)
    phone.goto(link)
    phone.get_by_label("Mail address").fill(guest)
    phone.get_by_label("Password").fill(PASSWORD)
    phone.get_by_role("button", name="Sign in", exact=True).click()
    expect(phone.get_by_role("heading", name=re.compile("^Join "))).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    phone.get_by_role("button", name="Become a member").click()
    expect(phone.get_by_role("status").first).to_contain_text("You are a member of")
    expect(phone.get_by_role("heading", name="Available credits")).to_be_visible()
    phone.goto(link)
    expect(phone.get_by_role("alert")).to_contain_text("accepted already")

    page.goto(f"{base}/billing/members")
    expect(page.get_by_text(guest, exact=True)).to_be_visible()
    expect(page.get_by_text(invited)).to_have_count(0)
