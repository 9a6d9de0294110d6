"""The billing page in a real browser, over real processes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from local.scene import THRESHOLD, TOPUP
from tests.flow.world import BOUGHT, SIGNUP, Account

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
CARD, DECLINED = "4242 4242 4242 4242", "4000 0000 0000 9995"
PHONE = pytest.mark.parametrize("page", [(375, 800)], indirect=True, ids=["phone"])


def fill_in_card(page: Page, number: str) -> None:
    page.get_by_label("Card number").fill(number)
    page.get_by_label("Name on card").fill("Browser Test")
    page.get_by_role("button", name=re.compile("^Pay ")).click()


def test_one_click_signs_in_and_shows_the_balance(page: Page, account: Account) -> None:
    expect(page).to_have_url(f"{account.world.stack.url}/billing")
    expect(page.locator(".big")).to_have_text(str(SIGNUP + BOUGHT))
    expect(page.locator("#header-balance")).to_contain_text(str(SIGNUP + BOUGHT))
    expect(page.locator(".movements tbody tr")).to_have_count(2)


def test_balance_falls_and_is_topped_up_without_reloading(page: Page, account: Account) -> None:
    page.evaluate("window.sameDocument = true")
    assert account.spend("7.5").status_code == 200
    expect(page.locator(".big")).to_have_text("142.5")
    expect(page.locator("#header-balance")).to_contain_text("142.5")
    account.enable_topup()
    account.spend("92.5")
    expect(page.locator(".big")).to_have_text(str(THRESHOLD + TOPUP))
    expect(page.locator(".movements")).to_contain_text("Auto top-up")
    assert page.evaluate("window.sameDocument")


def test_a_server_that_hangs_is_told_and_its_return_as_well(page: Page, account: Account) -> None:
    lost = page.get_by_text("The connection was lost. Trying again…")
    expect(lost).to_be_hidden()
    page.route("**/billing/live?**", lambda _route: None)
    expect(lost).to_be_visible(timeout=15_000)
    page.unroute("**/billing/live?**")
    account.spend("7.5")
    expect(page.locator(".big")).to_have_text("142.5", timeout=15_000)
    expect(lost).to_be_hidden()


def test_buying_ends_on_success_with_the_new_balance(page: Page, account: Account) -> None:
    page.get_by_role("button", name="Buy 250 credits for $10.00").click()
    page.get_by_role("button", name="Pay $10.00 at Stripe").click()
    expect(page.get_by_test_id("total")).to_have_text("$10.00")
    fill_in_card(page, CARD)
    expect(page.get_by_role("heading", name="250 credits added")).to_be_visible()
    expect(page.locator(".big")).to_have_text(str(SIGNUP + BOUGHT + 250))
    page.get_by_role("link", name="Back to billing").click()
    expect(page.locator(".big")).to_have_text(str(SIGNUP + BOUGHT + 250))
    account.assert_charges(2)


def test_declined_card_may_be_followed_by_a_good_one(page: Page, account: Account) -> None:
    page.get_by_role("button", name="Buy 100 credits for $5.00").click()
    page.get_by_role("button", name="Pay $5.00 at Stripe").click()
    fill_in_card(page, DECLINED)
    expect(page.get_by_role("alert")).to_be_visible()
    assert account.balance == SIGNUP + BOUGHT
    fill_in_card(page, CARD)
    expect(page.get_by_role("heading", name="100 credits added")).to_be_visible()


def test_turning_back_charges_nothing(page: Page, account: Account) -> None:
    page.get_by_role("button", name="Buy 100 credits for $5.00").click()
    page.get_by_role("button", name="Pay $5.00 at Stripe").click()
    page.get_by_test_id("back").click()
    expect(page.get_by_role("heading", name="Nothing was charged")).to_be_visible()
    page.get_by_role("link", name="Back to billing").click()
    expect(page.locator(".big")).to_have_text(str(SIGNUP + BOUGHT))


@PHONE
def test_phone_scrolls_in_one_direction_only(page: Page, account: Account) -> None:
    account.spend("1", "a-rather-long-identifier-of-a-spend-that-nobody-can-break-into-lines")
    expect(page.locator(".big")).to_have_text(str(SIGNUP + BOUGHT - 1))
    for path in ("/billing", "/docs"):
        page.goto(account.world.stack.url + path)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
