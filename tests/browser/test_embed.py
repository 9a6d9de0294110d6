"""The snippets of docs/embed.md, as they stand there, on another origin in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from supabase import create_client
from tests.browser.front_end import FrontEnd
from tests.flow.world import BOUGHT, SIGNUP, Account

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "embed.md").read_text()
REFILL = "https://billing.example.com"
CHECKOUTS = "**/api/billing/checkout-sessions"
PASSWORD = "correct horse"
START = SIGNUP + BOUGHT


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def user_id(front_end: FrontEnd, account: Account) -> str:
    """Serves the guide's snippets; only Refill's address and the module `supabase.js` are filled in, for a new admin."""
    stack = account.world.stack
    email = f"{account.id}@example.com".lower()
    url = stack.settings["SUPABASE_URL"]
    person = create_client(url, stack.services.supabase_secret_key).auth.admin.create_user(
        {"email": email, "password": PASSWORD}
    )
    account.world.ledger.set_member(account.id, person.user.id, "admin", "tests")
    signed_in = create_client(url, stack.settings["SUPABASE_PUBLISHABLE_KEY"]).auth.sign_in_with_password(
        {"email": email, "password": PASSWORD}
    )
    assert signed_in.session is not None
    answer = json.dumps({"data": {"session": {"access_token": signed_in.session.access_token}}})
    (call,) = blocks("js")
    html = "".join(blocks("html"))
    assert REFILL in call
    assert REFILL in html
    front_end.files = {
        "supabase.js": f"export const supabase = {{ auth: {{ getSession: async () => ({answer}) }} }}",
        "refill.js": call.replace(REFILL, stack.url),
        "app.html": f"<!doctype html><html lang=en><title>App</title>{html.replace(REFILL, stack.url)}",
    }
    return person.user.id


@pytest.fixture
def console() -> list[str]:
    """What the browser said on the console of `bare`."""
    return []


@pytest.fixture
def bare(browser: Browser, console: list[str]) -> Iterator[Page]:
    """Nobody is signed in to Refill's pages, and the console may complain."""
    context = browser.new_context()
    page = context.new_page()
    page.on("console", lambda message: console.append(message.text))
    yield page
    context.close()


def balance_says(page: Page, text: str, state: str) -> None:
    header = page.locator("#refill-balance")
    expect(header).to_have_text(text)
    expect(header).to_have_attribute("data-state", state)


def payments(account: Account) -> int:
    (row,) = account.world.query(
        "select count(*) as n from billing.payments where account_id = %s", account.id
    )
    return int(row["n"])


def test_the_balance_refreshes_itself_and_says_low_and_paused(
    page: Page, front_end: FrontEnd, account: Account
) -> None:
    page.clock.install()
    page.goto(f"{front_end.origin}/app.html")
    balance_says(page, f"{START} credits", "active")
    assert account.spend("7.505").status_code == 200
    page.clock.run_for(15_000)
    balance_says(page, "142.49 credits", "active")
    account.api.put("/api/credits/low-balance-levels", levels=["140"])
    assert account.spend("2.495").status_code == 200
    page.clock.run_for(15_000)
    balance_says(page, "140 credits, low", "low")
    status = "update billing.credit_balances set status = %s where account_id = %s"
    account.world.query(status, "paused", account.id)
    try:
        page.clock.run_for(15_000)
        balance_says(page, "140 credits, paused", "paused")
    finally:
        account.world.query(status, "active", account.id)


def test_the_button_leads_to_checkout_and_the_credits_arrive(
    page: Page, front_end: FrontEnd, account: Account
) -> None:
    """The person is signed in to Refill's pages too, and yet no cookie goes along."""
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))  # noqa: PLW0108  # Playwright marks the handler
    page.goto(f"{front_end.origin}/app.html")
    page.get_by_role("button", name="Buy 250 credits").click()
    expect(page.get_by_test_id("total")).to_have_text("$10.00")
    (post,) = (found for found in asked if "/checkout-sessions" in found.url and found.method == "POST")
    sent = post.all_headers()
    assert re.fullmatch(r"[0-9a-f-]{36}", sent["idempotency-key"])
    assert sent["origin"] == front_end.origin
    assert "cookie" not in sent
    page.get_by_label("Card number").fill("4242 4242 4242 4242")
    page.get_by_label("Name on card").fill("Browser Test")
    page.get_by_role("button", name=re.compile("^Pay ")).click()
    expect(page.get_by_role("heading", name="250 credits added")).to_be_visible()
    page.goto(f"{front_end.origin}/app.html")
    balance_says(page, f"{START + 250} credits", "active")
    account.assert_charges(2)


def test_who_has_no_cookie_of_refills_comes_back_to_the_credits_and_to_nothing_charged(
    bare: Page, front_end: FrontEnd, account: Account
) -> None:
    bare.goto(f"{front_end.origin}/app.html")
    bare.get_by_role("button", name="Buy 250 credits").click()
    bare.get_by_test_id("back").click()
    expect(bare.get_by_role("heading", name="Nothing was charged")).to_be_visible()
    assert account.balance == START
    bare.get_by_role("button", name="Continue to payment").click()
    bare.get_by_label("Card number").fill("4242 4242 4242 4242")
    bare.get_by_label("Name on card").fill("Browser Test")
    bare.get_by_role("button", name=re.compile("^Pay ")).click()
    expect(bare.get_by_role("heading", name="250 credits added")).to_be_visible()
    expect(bare).to_have_title("Thank you · Refill")
    assert "/billing/return/" in bare.url
    account.assert_charges(2)


def test_a_person_of_several_accounts_is_told_to_choose_and_the_constant_chooses(
    bare: Page, front_end: FrontEnd, account: Account, user_id: str
) -> None:
    second = account.world.account(topup=False)
    account.world.ledger.set_member(second.id, user_id, "admin", "tests")
    before = payments(account)
    bare.goto(f"{front_end.origin}/app.html")
    balance_says(bare, "Choose an account to see credits", "unknown")
    button = bare.get_by_role("button", name="Buy 250 credits")
    button.click()
    expect(bare.get_by_role("alert")).to_have_text("Choose an account to buy credits for.")
    assert (payments(account), payments(second)) == (before, before)
    call = front_end.files["refill.js"]
    front_end.files["refill.js"] = call.replace(
        "const ACCOUNT = null", f"const ACCOUNT = {json.dumps(account.id)}"
    )
    assert front_end.files["refill.js"] != call
    bare.reload()
    balance_says(bare, f"{START} credits", "active")
    button.click()
    expect(bare.get_by_test_id("total")).to_have_text("$10.00")
    assert (payments(account), payments(second)) == (before + 1, before)


def test_while_nobody_is_signed_in_refill_is_not_asked(
    bare: Page, front_end: FrontEnd, account: Account
) -> None:
    front_end.files["supabase.js"] = (
        "export const supabase = { auth: { getSession: async () => ({ data: { session: null } }) } }"
    )
    asked: list[str] = []
    bare.on("request", lambda request: asked.append(request.url))
    bare.goto(f"{front_end.origin}/app.html")
    balance_says(bare, "Sign in to see credits", "unknown")
    bare.get_by_role("button", name="Buy 250 credits").click()
    expect(bare.get_by_role("alert")).to_have_text("Sign in to buy credits.")
    assert [url for url in asked if "/api/" in url] == []


def test_a_click_after_a_lost_answer_opens_no_second_purchase(
    bare: Page, front_end: FrontEnd, account: Account
) -> None:
    before = payments(account)
    bare.goto(f"{front_end.origin}/app.html")

    def lose(route: Route) -> None:
        assert route.fetch().status == 201
        route.abort()

    bare.route(CHECKOUTS, lose)
    button = bare.get_by_role("button", name="Buy 250 credits")
    button.click()
    expect(bare.get_by_role("alert")).to_have_text(
        "Refill could not be reached. Nothing was charged; try again."
    )
    assert payments(account) == before + 1
    bare.unroute(CHECKOUTS)
    button.click()
    expect(bare.get_by_test_id("total")).to_have_text("$10.00")
    assert payments(account) == before + 1


def test_who_may_not_buy_is_told_why_and_nothing_is_opened(
    bare: Page, front_end: FrontEnd, account: Account, user_id: str
) -> None:
    account.world.ledger.set_member(account.id, user_id, "member", "tests")
    before = payments(account)
    bare.goto(f"{front_end.origin}/app.html")
    balance_says(bare, f"{START} credits", "active")
    bare.get_by_role("button", name="Buy 250 credits").click()
    expect(bare.get_by_role("alert")).to_have_text("This needs the role admin in the account.")
    assert payments(account) == before


def test_a_foreign_origin_reads_nothing_and_buys_nothing(
    bare: Page, console: list[str], front_end: FrontEnd, account: Account
) -> None:
    before = payments(account)
    bare.goto(f"{front_end.foreign}/app.html")
    balance_says(bare, "Credits", "unknown")
    bare.get_by_role("button", name="Buy 250 credits").click()
    expect(bare.get_by_role("alert")).to_contain_text("could not be reached")
    assert payments(account) == before
    assert [text for text in console if "blocked by CORS policy" in text] != []
