"""From the mailed link to the credits: a card holder confirms a charge that the bank would not let pass alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from playwright.sync_api import Browser, Page, expect

from local.scene import THRESHOLD, TOPUP
from shared import pay_links
from shared.stripe_client import make_client
from tests.flow.world import BOUGHT, SIGNUP, Account
from tests.support import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
GOOD, POOR = "4242 4242 4242 4242", "4000 0000 0000 9995"


@pytest.fixture(params=[(1280, 900)])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Nobody in particular, who has the link. Anything on the console but refusals of Stripe's fails the test."""
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert [line for line in complaints if "Failed to load resource" not in line] == []


@pytest.fixture
def waiting(account: Account) -> dict[str, Any]:
    """A top-up that waits for its card holder."""
    account.world.stripe.do("behave", id=account.card, outcome="authentication_required")
    account.enable_topup()
    account.cross_threshold()
    return awaiting(account)


def awaiting(account: Account) -> dict[str, Any]:
    def find() -> dict[str, Any] | None:
        return next((row for row in account.topups if row["state"] == "action_required"), None)

    wait_until(lambda: find() is not None, 15, "a top-up that waits for its card holder")
    found = find()
    assert found is not None
    return found


def link(account: Account, topup: dict[str, Any]) -> str:
    return pay_links.pay_url(account.world.settings, topup["payment_id"])


def answer_the_bank(page: Page, answer: str) -> None:
    page.frame_locator("iframe[title='3-D Secure']").get_by_role("button", name=answer).click()


def expect_credits(page: Page) -> None:
    expect(page.get_by_role("heading", name=f"{TOPUP} credits added")).to_be_visible(timeout=15_000)


@pytest.mark.parametrize("page", [(1280, 900), (390, 800)], indirect=True)
def test_link_leads_to_the_credits_without_signing_in(
    page: Page, account: Account, waiting: dict[str, Any]
) -> None:
    offered = account.api.get("/api/billing/payments")["data"][0]["pay_url"]
    page.goto(offered)
    expect(page.get_by_role("heading", name="Confirm $5.00")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Flow")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="Confirm with Visa").click()
    answer_the_bank(page, "Authorize")
    expect_credits(page)
    account.await_balance(THRESHOLD + TOPUP)
    account.assert_charged_once()
    page.goto(link(account, waiting))
    expect_credits(page)
    account.assert_charged_once()


def test_a_purchase_left_at_the_banks_question_is_paid_by_its_link(page: Page, account: Account) -> None:
    """Nobody is signed in any more: the link of the payments' list, as a notice carries it, leads to the credits."""
    order = account.api.post("/api/create-payment-intent", package_id="credits_250")
    intent = str(order["client_secret"]).partition("_secret_")[0]
    client = make_client(account.world.settings)
    client.v1.payment_intents.confirm(intent, {"payment_method": "pm_card_threeDSecure2Required"})
    offered = wait_until(
        lambda: account.api.get("/api/billing/payments")["data"][0]["pay_url"],
        15,
        "the purchase to ask for its buyer",
    )
    assert account.balance == SIGNUP + BOUGHT
    page.goto(offered)
    expect(page.get_by_role("heading", name="Confirm $10.00")).to_be_visible()
    page.get_by_role("button", name="Confirm with Visa").click()
    answer_the_bank(page, "Authorize")
    expect(page.get_by_role("heading", name="250 credits added")).to_be_visible(timeout=15_000)
    account.await_balance(SIGNUP + BOUGHT + 250)
    account.assert_charges(2)


def test_failed_confirmation_may_be_followed_by_a_good_one(
    page: Page, account: Account, waiting: dict[str, Any]
) -> None:
    page.goto(link(account, waiting))
    page.get_by_role("button", name="Confirm with Visa").click()
    answer_the_bank(page, "Fail")
    expect(page.get_by_role("alert")).to_contain_text("Nothing was charged.")
    assert account.balance == THRESHOLD
    page.get_by_role("button", name="Confirm with Visa").click()
    answer_the_bank(page, "Authorize")
    expect_credits(page)
    account.assert_charged_once()


def test_another_card_pays_after_one_that_is_declined(
    page: Page, account: Account, waiting: dict[str, Any]
) -> None:
    page.goto(link(account, waiting))
    page.locator("summary", has_text="Pay with another card").click()
    page.get_by_label("Card number").fill(POOR)
    page.get_by_role("button", name="Pay $5.00").click()
    expect(page.get_by_role("alert")).to_contain_text("insufficient funds")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("insufficient funds")
    expect(page.get_by_role("button", name="Confirm with the saved card")).to_be_visible()
    page.locator("summary", has_text="Pay with another card").click()
    page.get_by_label("Card number").fill(GOOD)
    page.get_by_role("button", name="Pay $5.00").click()
    expect_credits(page)
    account.assert_charged_once()


def test_superseded_top_up_is_not_paid_by_its_old_link(
    page: Page, account: Account, waiting: dict[str, Any]
) -> None:
    old = link(account, waiting)
    account.pay(account.checkout())
    account.await_balance(THRESHOLD + BOUGHT)
    page.goto(old)
    expect(page.get_by_role("heading", name="The payment did not go through")).to_be_visible()
    expect(page.get_by_role("button", name="Confirm")).to_have_count(0)
    wait_until(lambda: account.topups[0]["state"] == "canceled", 15, "the old charge to be given up")
    account.assert_charges(2)


def test_old_or_wrong_link_pays_nothing(page: Page, account: Account, waiting: dict[str, Any]) -> None:
    with mock.patch("itsdangerous.timed.time.time", return_value=1_700_000_000):
        old = link(account, waiting)
    for url, status, text in ((old, 410, "expired"), (link(account, waiting) + "x", 403, "not valid")):
        for address in (url, f"{url}/done"):
            answer = page.goto(address)
            assert answer is not None
            assert answer.status == status
            expect(page.locator("main")).to_contain_text(text)
    account.assert_charges(1)


def test_without_javascript_the_page_offers_the_billing_page(
    browser: Browser, account: Account, waiting: dict[str, Any]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(link(account, waiting))
    expect(page.get_by_role("link", name="buy credits on the billing page")).to_be_visible()
    expect(page.get_by_role("button", name="Confirm")).not_to_be_visible()
    context.close()
    assert SIGNUP + BOUGHT > account.balance == THRESHOLD
