"""Buying, cards and auto top-up in a real browser: Stripe's forms, the bank's questions, and what becomes of the money."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.flow.world import BOUGHT, SIGNUP, Account
from web.local_login import login_url

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
GOOD, POOR, SECURE = "4242 4242 4242 4242", "4000 0000 0000 9995", "4000 0027 6000 3184"
START = SIGNUP + BOUGHT


@pytest.fixture(params=[(1280, 900)])
def page(browser: Browser, account: Account, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Signed in as the owner. Anything on the console but refusals of Stripe's fails the test."""
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(login_url(account.world.settings, account.id))
    yield page
    context.close()
    assert [line for line in complaints if "Failed to load resource" not in line] == []


def open_page(page: Page, account: Account, path: str) -> None:
    page.goto(f"{account.world.stack.url}/billing/{path}")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


def order(page: Page, account: Account) -> None:
    open_page(page, account, "buy")
    page.get_by_role("button", name="Choose 250 credits for $10.00").click()
    page.get_by_label("250 credits, how many").fill("2")
    page.get_by_role("button", name="Update").click()
    expect(page.locator(".lines tfoot")).to_contain_text("$20.00")


def fill_in(page: Page, number: str) -> None:
    details = page.locator("#pay-another")
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    page.get_by_label("Card number").fill(number)
    page.locator("#pay-form button").click()


def expect_bought(page: Page, account: Account, charges: int) -> None:
    expect(page.get_by_role("heading", name="500 credits added")).to_be_visible(timeout=15_000)
    expect(page.locator(".big")).to_have_text(str(START + 500))
    account.assert_charges(charges)


@pytest.mark.parametrize("page", [(1280, 900), (390, 800)], indirect=True)
def test_several_of_a_package_are_bought_by_checkout(page: Page, account: Account) -> None:
    order(page, account)
    page.get_by_role("button", name="Pay $20.00 at Stripe").click()
    expect(page.get_by_test_id("total")).to_have_text("$20.00")
    page.get_by_label("Card number").fill(GOOD)
    page.get_by_label("Name on card").fill("Browser Test")
    page.get_by_role("button", name=re.compile("^Pay ")).click()
    expect_bought(page, account, 2)


def test_paying_here_a_decline_has_a_reason_and_another_card_pays(page: Page, account: Account) -> None:
    order(page, account)
    page.get_by_role("button", name="Pay right here").click()
    fill_in(page, POOR)
    label = page.get_by_text("Card number", exact=True)
    assert label.evaluate("label => getComputedStyle(label).textAlign") == "left"
    told = page.get_by_role("alert")
    expect(told).to_contain_text("Visa •••• 9995: Your card has insufficient funds. Nothing was charged")
    expect(told).to_be_focused()
    assert account.balance == START
    page.reload()
    expect(told).to_contain_text("Visa •••• 9995: Your card has insufficient funds. Nothing was charged")
    expect(page.get_by_role("button", name="Pay $20.00 with Visa •••• 4242")).to_be_visible()
    fill_in(page, GOOD)
    expect_bought(page, account, 2)


def test_credits_arrive_without_any_webhook_and_the_title_says_so(page: Page, account: Account) -> None:
    """Coming back has Stripe asked at once; the sweep would ask a minute later."""
    order(page, account)
    with without_webhooks(account):
        page.get_by_role("button", name="Pay $20.00 at Stripe").click()
        page.get_by_label("Card number").fill(GOOD)
        page.get_by_label("Name on card").fill("Browser Test")
        page.get_by_role("button", name=re.compile("^Pay ")).click()
        expect(page.get_by_role("navigation", name="Billing")).to_be_visible()
        expect_bought(page, account, 2)
        expect(page).to_have_title("Thank you · Refill")


def test_plan_is_set_up_without_any_webhook_before_ones_eyes(page: Page, account: Account) -> None:
    open_page(page, account, "plans")
    subscribe = page.get_by_role("button", name="Subscribe to Starter")
    subscribe.click()
    page.get_by_test_id("back").click()
    expect(page.get_by_role("status").first).to_contain_text("Nothing was charged")
    with without_webhooks(account):
        subscribe.click()
        page.get_by_label("Card number").fill(GOOD)
        page.get_by_label("Name on card").fill("Browser Test")
        page.get_by_role("button", name="Subscribe").click()
        expect(page.locator("#plans")).to_contain_text(
            "Your plan Starter is set up, and 500 credits were added.", timeout=15_000
        )
    expect(page.locator("#header-balance")).to_contain_text(str(START + 500))
    expect(subscribe).to_have_count(0)


@contextmanager
def without_webhooks(account: Account) -> Iterator[None]:
    """Stripe sends nothing, as long as the block lasts."""
    account.world.stripe.do("webhooks", action="lose")
    try:
        yield
    finally:
        account.world.stripe.do("clear_webhooks")


def test_changed_number_is_not_paid_before_its_total_was_seen(page: Page, account: Account) -> None:
    order(page, account)
    page.get_by_label("250 credits, how many").fill("3")
    page.get_by_role("button", name="Pay right here").click()
    expect(page.get_by_role("status").first).to_contain_text("The total has changed. Nothing was charged")
    expect(page.locator(".lines")).to_contain_text("3 \N{MULTIPLICATION SIGN} 250 credits")
    page.get_by_label("250 credits, how many").fill("4")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pay $40.00 at Stripe")).to_be_visible()
    account.assert_charges(1)
    page.get_by_role("button", name="Pay right here").click()
    expect(page.get_by_role("button", name="Pay $40.00 with Visa")).to_be_visible()
    page.go_back()
    page.get_by_label("250 credits, how many").fill("1")
    page.get_by_role("button", name="Pay $40.00 at Stripe").click()
    expect(page.get_by_role("button", name="Pay $10.00 at Stripe")).to_be_visible()
    account.assert_charges(1)


def test_saved_card_pays_with_one_click(page: Page, account: Account) -> None:
    order(page, account)
    page.get_by_role("button", name="Pay right here").click()
    page.get_by_role("button", name="Pay $20.00 with Visa").click()
    expect_bought(page, account, 2)


def test_bank_asks_and_the_card_holder_answers(page: Page, account: Account) -> None:
    order(page, account)
    page.get_by_role("button", name="Pay right here").click()
    fill_in(page, SECURE)
    answer_the_bank(page, "Fail")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was charged")
    assert account.balance == START
    fill_in(page, SECURE)
    answer_the_bank(page, "Authorize")
    expect_bought(page, account, 2)


def answer_the_bank(page: Page, answer: str) -> None:
    """In the dialog, or on the bank's own page when Stripe leads there."""
    frame = page.frame_locator("iframe[title='3-D Secure']").get_by_role("button", name=answer)
    frame.or_(page.get_by_role("button", name=answer)).click()


def test_54_second_tab_that_buys_at_once_pays_the_same_purchase(page: Page, account: Account) -> None:
    tab = page.context.new_page()
    for one in (page, tab):
        order(one, account)
    for one in (page, tab):
        one.get_by_role("button", name="Pay right here").click()
    assert page.url == tab.url
    page.get_by_role("button", name="Pay $20.00 with Visa").click()
    expect_bought(page, account, 2)
    tab.get_by_role("button", name="Pay $20.00 with Visa").click()
    expect_bought(tab, account, 2)


def test_auto_topup_is_allowed_charges_and_is_switched_off(page: Page, account: Account) -> None:
    account.cross_threshold()
    open_page(page, account, "auto-topup")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#effect")).to_contain_text("saving charges $5.00 to Visa •••• 4242 at once")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Allow, and charge $5.00 now").click()
    expect(page.get_by_role("status").first).to_contain_text("Auto top-up is on. The card is charged now.")
    account.await_balance(150)
    account.assert_charged_once()
    # Nobody loads the page again: it does so by itself.
    expect(page.locator(".caps")).to_contain_text("$5.00 of $100.00", timeout=15_000)
    expect(page.locator("#header-balance")).to_contain_text("150", timeout=20_000)
    page.get_by_role("button", name="Switch auto top-up off").click()
    expect(page.locator("main")).to_contain_text("Nothing is charged by itself any more.")
    account.cross_threshold()
    assert account.balance == 50
    account.assert_charged_once()


@pytest.mark.parametrize("page", [(390, 800)], indirect=True)
def test_card_is_added_and_the_last_ones_are_removed(page: Page, account: Account) -> None:
    account.enable_topup()
    open_page(page, account, "payment-methods")
    page.get_by_role("button", name="Add a card").click()
    page.get_by_label("Card number").fill("5555 5555 5555 4444")
    page.get_by_role("button", name="Save the card").click()
    expect(page.get_by_role("status").first).to_contain_text("The card is saved.")
    expect(page.get_by_role("row", name="Mastercard")).to_be_visible()
    page.get_by_role("link", name="Remove Mastercard").click()
    expect(page.locator("main")).to_contain_text("auto top-up goes on as it is")
    page.get_by_role("button", name="Remove the card").click()
    page.get_by_role("link", name="Remove Visa").click()
    expect(page.locator("main")).to_contain_text("Without it auto top-up pauses")
    page.get_by_role("button", name="Remove the card").click()
    expect(page.locator("main")).to_contain_text(
        "No card is saved. Auto top-up is on and cannot charge anything."
    )
    open_page(page, account, "auto-topup")
    expect(page.locator("main")).to_contain_text("there is no card to charge")


@pytest.mark.parametrize("page", [(390, 800)], indirect=True)
def test_member_without_rights_sees_no_forms_and_gets_403(page: Page, account: Account) -> None:
    account.world.query(
        "update billing.account_members set role = 'member' where account_id = %s", account.id
    )
    for path in ("buy", "buy?package_id=credits_250", "payments", "payment-methods", "auto-topup", "plans"):
        open_page(page, account, path)
        assert page.locator("main form[method=post]").count() == 0, path
    for path in ("payment-methods/pm_1/remove", "auto-topup/review"):
        answer = page.goto(f"{account.world.stack.url}/billing/{path}")
        assert answer is not None
        assert answer.status == 403
    account.world.query("update billing.account_members set role = 'owner' where account_id = %s", account.id)
