"""Signing in with a real browser: by password, by a link in a mail, by a provider, and back to where one was."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from supabase import create_client
from tests.flow.world import Account

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
PASSWORD = "correct horse"


@pytest.fixture
def email(account: Account) -> str:
    """An owner of the account who has a password."""
    stack = account.world.stack
    supabase = create_client(stack.settings["SUPABASE_URL"], stack.services.supabase_secret_key)
    address = f"{account.id}@example.com".lower()
    person = supabase.auth.admin.create_user({"email": address, "password": PASSWORD})
    account.world.ledger.set_member(account.id, person.user.id, "owner", "tests")
    return address


@pytest.fixture(params=[(1200, 900)])
def page(browser: Browser, account: Account, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Nobody is signed in. Anything on the console fails the test, but for the 401 of a page that needs somebody."""
    width, height = request.param
    context = browser.new_context(
        viewport={"width": width, "height": height}, base_url=account.world.stack.url
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert [text for text in complaints if "status of 401" not in text and "status of 409" not in text] == []


def fill(page: Page, email: str, password: str) -> None:
    page.get_by_label("Mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


@pytest.mark.parametrize("page", [(1200, 900), (375, 800)], indirect=True, ids=["desk", "phone"])
def test_password_after_a_slip_leads_back_to_the_page_that_was_asked_for(page: Page, email: str) -> None:
    page.goto("/billing/statement?month=2026-10")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    fill(page, email, "wrong")
    expect(page.get_by_role("alert")).to_contain_text("did not sign you in")
    fill(page, email, PASSWORD)
    expect(page.get_by_role("heading", name="Statement of October 2026")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in$"))
    page.goto("/billing")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_link_by_mail(page: Page, email: str, account: Account) -> None:
    page.goto("/sign-in")
    page.get_by_label("Mail address").fill(email)
    page.get_by_role("button", name="Mail me a link instead").click()
    expect(page.get_by_role("status").first).to_contain_text("on its way")
    mails = httpx.get(f"{account.world.stack.settings['SUPABASE_URL']}/_local/mails").json()["data"]
    page.goto(next(mail["url"] for mail in mails if mail["to"] == email))
    expect(page).to_have_url(re.compile("/billing$"))
    expect(page.get_by_role("heading", name="Available credits")).to_be_visible()


def test_provider(page: Page, email: str) -> None:
    page.goto("/sign-in")
    page.get_by_role("button", name="Continue with GitHub").click()
    page.get_by_role("link", name=email).click()
    expect(page.get_by_role("heading", name="Available credits")).to_be_visible()


def test_another_account_is_one_choice_away(page: Page, email: str, account: Account) -> None:
    other = account.world.account(topup=False)
    owner = account.world.ledger.list_members(account.id)[0]["user_id"]
    account.world.ledger.set_member(other.id, owner, "member", "tests")
    page.goto("/sign-in")
    fill(page, email, PASSWORD)
    page.get_by_label("Account").select_option(other.id)
    page.get_by_role("button", name="Switch").click()
    expect(page.get_by_label("Account")).to_have_value(other.id)
    expect(page.get_by_text("Your role in this account is member")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Buy "))).to_have_count(0)


def test_a_session_that_ends_while_a_form_is_open_does_nothing_and_leads_back_to_it(
    page: Page, email: str, account: Account
) -> None:
    page.goto("/billing/limits")
    fill(page, email, PASSWORD)
    page.get_by_label("Name or id").fill("researcher")
    page.get_by_label("Credits", exact=True).fill("25")
    owner = account.world.ledger.list_members(account.id)[0]["user_id"]
    account.world.query("delete from billing.member_sessions where user_id = %s", owner)
    page.get_by_role("button", name="Set limit").click()
    expect(page.get_by_role("alert")).to_contain_text("You were signed out. What you sent was not done.")
    assert account.world.ledger.list_limits(account.id) == []
    fill(page, email, PASSWORD)
    expect(page.get_by_role("heading", name="Limits", exact=True)).to_be_visible()


def test_a_session_that_ends_under_a_page_leads_to_the_sign_in_page_and_back(
    page: Page, email: str, account: Account
) -> None:
    page.goto("/billing")
    fill(page, email, PASSWORD)
    expect(page.get_by_role("heading", name="Available credits")).to_be_visible()
    owner = account.world.ledger.list_members(account.id)[0]["user_id"]
    account.world.query("delete from billing.member_sessions where user_id = %s", owner)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    fill(page, email, PASSWORD)
    expect(page.get_by_role("heading", name="Available credits")).to_be_visible()


def test_a_window_of_an_account_that_is_not_in_view_any_more_loads_itself_anew(
    page: Page, email: str, account: Account
) -> None:
    other = account.world.account(topup=False)
    owner = account.world.ledger.list_members(account.id)[0]["user_id"]
    account.world.ledger.set_member(other.id, owner, "owner", "tests")
    page.goto("/billing")
    fill(page, email, PASSWORD)
    window = page.context.new_page()
    window.goto("/billing")
    window.get_by_label("Account").select_option(other.id)
    window.get_by_role("button", name="Switch").click()
    expect(window.get_by_label("Account")).to_have_value(other.id)
    expect(page.get_by_label("Account")).to_have_value(other.id)
