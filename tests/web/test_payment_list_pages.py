"""The lists of payments and plans: money, refunds, what is still open and for whom, and plans that have ended."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
import stripe
from flask import Flask

from shared.ledger import Ledger
from shared.settings import Settings
from tests.support import Database
from tests.web.browsing import rows
from tests.web.identity import OWNER
from tests.web.test_money_pages import BUY, Browser, app, client_at_stripe, owner, server, settings
from web.local_login import login_url

__all__ = ["app", "client_at_stripe", "owner", "server", "settings"]
FORM = "form_" + "0" * 32


def row_of(browser: Browser, payment_id: str) -> str:
    page = browser.get("/billing/payments").text
    found = re.search(rf'<tr id="{payment_id}">.*?</tr>', page, re.DOTALL)
    assert found is not None
    return found[0]


def test_a_refund_is_told_in_its_own_money(owner: Browser, ledger: Ledger, database: Database) -> None:
    ledger.link_customer("acme", "cus_pages")
    ledger.open_purchase("pay_1", "acme", "credits_250", 1, "cus_pages")
    rows(
        database,
        "insert into billing.payment_reversals (id, account_id, payment_id, kind, amount, status, is_taken, is_open,"
        " occurred_at) values ('re_1', 'acme', 'pay_1', 'refund', 123, 'succeeded', true, false, '2026-01-02'),"
        " ('dp_1', 'acme', 'pay_1', 'dispute', 456, 'needs_response', true, true, '2026-01-03') returning 1",
    )
    shown = row_of(owner, "pay_1")
    assert '<td class="number">$10.00</td>' in shown
    assert "250 credits" in shown
    assert "Refund of $1.23, 2 Jan 2026: the money is on its way to the card" in shown
    assert "Dispute of $4.56, 3 Jan 2026: the bank is deciding" in shown


def test_open_purchase_is_continued_until_nobody_shall_pay_it_and_by_who_may_buy(
    owner: Browser, ledger: Ledger, database: Database
) -> None:
    checkout = owner.post("/billing/checkout", **BUY).location
    here = owner.post("/billing/buy/pay", **BUY | {"package_id": "credits_100"}).location
    by_checkout, by_intent = (row["id"] for row in reversed(ledger.list_payments("acme", 9, None)["data"]))
    assert f'<a href="{checkout}">Continue</a>' in row_of(owner, by_checkout)
    assert f'<a href="{here}">Continue</a>' in row_of(owner, by_intent)
    rows(database, f"update billing.payments set status = 'processing' where id = '{by_intent}' returning 1")
    assert "Continue" not in row_of(owner, by_intent)
    (myself,) = ledger.list_members("acme")
    ledger.set_member("acme", OWNER, "owner", "tests")
    ledger.set_member("acme", myself["user_id"], "member", "tests")
    assert "Continue" not in row_of(owner, by_checkout)
    ledger.set_member("acme", myself["user_id"], "admin", "tests")
    assert "Continue" in row_of(owner, by_checkout)
    rows(database, "update billing.payments set created_at = now() - interval '2 days' returning 1")
    assert "Continue" not in row_of(owner, by_checkout)


def test_link_to_confirm_is_shown_to_who_may_buy(owner: Browser, ledger: Ledger) -> None:
    here = owner.post("/billing/buy/pay", **BUY).location
    payment = here.rpartition("/")[2]
    ledger.await_card_holder(payment)
    shown = row_of(owner, payment)
    assert "Needs the card holder" in shown
    assert re.search(r'<a href="[^"]+/billing/pay/[^"]+">Confirm</a>', shown)
    (myself,) = ledger.list_members("acme")
    ledger.set_member("acme", OWNER, "owner", "tests")
    ledger.set_member("acme", myself["user_id"], "member", "tests")
    shown = row_of(owner, payment)
    assert "Needs the card holder" in shown
    assert "/billing/pay/" not in shown


def test_82_a_plan_is_subscribed_to_for_the_account_in_view(
    app: Flask,
    owner: Browser,
    settings: Settings,
    ledger: Ledger,
    client_at_stripe: stripe.StripeClient,
) -> None:
    ledger.open_account("other", "Other", None, None, 0, "tests")
    form = {"request_id": FORM, "plan_id": "pro", "account_id": "other", "customer": "cus_other"}
    first = owner.post("/billing/plans/subscribe", **form).location
    session = client_at_stripe.v1.checkout.sessions.retrieve(first.rpartition("/")[2])
    mine = ledger.get_customer("acme")
    assert mine is not None
    assert session.customer == mine["stripe_customer_id"]
    assert ledger.get_customer("other") is None
    browser, url = Browser(app.test_client()), urlsplit(login_url(settings, "other"))
    assert browser.get(f"{url.path}?{url.query}").status_code == 303
    assert browser.post("/billing/plans/subscribe", **form).location != first


@pytest.mark.parametrize(("status", "offered"), [("active", False), ("past_due", False), ("canceled", True)])
def test_plans_are_offered_once_the_one_before_has_ended(
    owner: Browser, ledger: Ledger, database: Database, status: str, offered: bool
) -> None:
    ledger.link_customer("acme", "cus_1")
    rows(
        database,
        "insert into billing.subscriptions (id, account_id, plan_id, stripe_customer_id, status, quantity,"
        " cancel_at_period_end, current_period_end, ended_at, started_at, version) values ('sub_1', 'acme', 'pro', 'cus_1',"
        f" '{status}', 1, false, '2031-02-03', '2026-02-03', now(), 1) returning 1",
    )
    page = owner.get("/billing/plans").text
    assert ('action="/billing/plans/subscribe"' in page) == offered
    assert ('action="/billing/portal"' in page) != offered
    assert ("It ended on 3 Feb 2026." in page) == offered
    assert ("3 Feb 2031" in page) != offered
    assert ("The last invoice is not paid" in page) == (status == "past_due")
