"""Whom a browser contacts on every page: the server itself, Stripe where its form is, and nobody else."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Request

from tests.browser.pages import every_page, sign_in_urls
from tests.flow.world import Account

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
WITH_STRIPE = {
    "/billing/buy/<payment_id>",
    "/billing/payment-methods/add/<intent_id>",
    "/billing/pay/<token>",
}


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def test_pages_contact_nobody_but_the_server_and_stripe(browser: Browser, account: Account) -> None:
    pages, sign_in, stack = every_page(account), sign_in_urls(account), account.world.stack
    own, stripe = origin(stack.url), origin(stack.settings["STRIPE_API_BASE"])
    contacted: dict[str, set[str]] = {}
    for who, url in sign_in.items():
        context = browser.new_context(base_url=stack.url)
        page, asked = context.new_page(), list[str]()

        def note(request: Request, asked: list[str] = asked) -> None:
            asked.append(request.url)

        context.on("request", note)
        page.goto(url)
        for visited in (one for one in pages if one.who == who):
            asked.clear()
            answer = page.goto(visited.path, wait_until="load")
            assert answer is not None
            assert answer.status == 200, visited
            contacted[visited.rule] = {origin(one) for one in asked if not one.startswith("data:")}
        context.close()
    assert len(contacted) > 30
    assert {rule: found for rule, found in contacted.items() if rule not in WITH_STRIPE} == {
        rule: {own} for rule in contacted if rule not in WITH_STRIPE
    }
    assert {rule: contacted[rule] for rule in WITH_STRIPE} == {rule: {own, stripe} for rule in WITH_STRIPE}
