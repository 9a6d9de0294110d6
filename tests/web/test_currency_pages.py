"""Amounts on every page, in currencies with no, two and three decimals; and which packages a page lists."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import httpx
import pytest
import stripe
from flask import Flask

from shared.ledger import Ledger
from shared.settings import Settings
from tests.support import Database
from tests.web.browsing import OPERATOR, rows
from tests.web.conftest import Counts, make_settings
from tests.web.test_cli import run
from tests.web.test_money_pages import TOPUP, Browser, add_card, app, client_at_stripe, owner, server
from tests.web.test_operators import enter

__all__ = ["app", "client_at_stripe", "owner", "server"]

EVERY = [("kwd", 9200, "9.200 KWD", "30.000 KWD"), ("jpy", 1050, "1,050 JPY", "15,000 JPY"),
         ("bhd", 12340, "12.340 BHD", "40.000 BHD"), ("isk", 150_000, "1,500.00 ISK", "15,000.00 ISK"),
         ("ugx", 1_000_000, "10,000.00 UGX", "400,000.00 UGX"), ("huf", 99_900, "999.00 HUF", "30,000.00 HUF")]  # fmt: skip
KWD = {"request_id": "form_0", "package_id": "only", "quantity": "1", "quoted": "1"}


@pytest.fixture
def settings(dsn: str, redis_url: str, server: httpx.URL) -> Settings:
    return make_settings(
        dsn, redis_url, STRIPE_API_BASE=server.url, STRIPE_PUBLISHABLE_KEY="pk_test_web",  # type: ignore[attr-defined]
        SIGNUP_CREDITS="0", OPERATORS=OPERATOR,
    )  # fmt: skip


def sell(database: Database, package_id: str, amount: int, currency: str, credits: int = 100) -> None:
    rows(
        database,
        "insert into billing.credit_packages (id, name, credits, amount, currency)"
        f" values ('{package_id}', 'Package {package_id}', {credits}000000, {amount}, '{currency}') returning 1",
    )


def only(database: Database, amount: int, currency: str) -> None:
    rows(database, "update billing.credit_packages set active = false returning 1")
    sell(database, "only", amount, currency)


def paid(ledger: Ledger, payment_id: str) -> None:
    payment = ledger.get_payment(payment_id)
    assert payment is not None
    facts = {"payment_intent": f"pi_{payment_id}", "customer": payment["stripe_customer_id"], "charge": "ch_1",
             "amount_received": payment["amount"], "currency": payment["currency"]}  # fmt: skip
    assert ledger.settle_payment(payment_id, facts)["outcome"] == "granted"


@pytest.mark.parametrize(("currency", "amount", "price", "_cap"), EVERY)
def test_a_price_reads_the_same_on_each_page_and_at_checkout(
    owner: Browser, app: Flask, settings: Settings, ledger: Ledger, database: Database,
    currency: str, amount: int, price: str, _cap: str,
) -> None:  # fmt: skip
    only(database, amount, currency)
    checkout = owner.post("/billing/checkout", **KWD).location
    payment = ledger.list_payments("acme", 1, None)["data"][0]["id"]
    seen = {
        "overview": owner.get("/billing").text,
        "buy": owner.get("/billing/buy").text,
        "order": owner.get("/billing/buy?package_id=only").text,
        "waiting": owner.get(f"/billing/success?payment={payment}").text,
    }
    assert price.split(maxsplit=1)[0] in httpx.get(checkout).text, "Checkout"
    paid(ledger, payment)
    operator = enter(app, settings, OPERATOR)
    seen |= {
        "success": owner.get(f"/billing/success?payment={payment}").text,
        "payments": owner.get("/billing/payments").text,
        "history": owner.get("/billing/history").text,
        "ops payments": operator.get("/ops/payments?state=succeeded").text,
        "ops payment": operator.get(f"/ops/payments/{payment}").text,
        "ops account": operator.get("/ops/accounts/acme").text,
        "cli payments": run(app, "payments", "list").output,
        "cli revenue": run(app, "revenue").output,
        "statement": owner.get("/billing/statement").text,
    }
    assert [name for name, text in seen.items() if price not in text] == []
    plain = price.split(maxsplit=1)[0].replace(",", "")
    assert f",{plain},0" in owner.get("/billing/statement.csv").text


@pytest.mark.parametrize(("currency", "amount", "price", "cap"), EVERY)
def test_auto_topup_begins_with_caps_of_the_currency_and_takes_them_as_they_are_written(
    owner: Browser, ledger: Ledger, database: Database, client_at_stripe: stripe.StripeClient,
    currency: str, amount: int, price: str, cap: str,
) -> None:  # fmt: skip
    only(database, amount, currency)
    card = add_card(owner, client_at_stripe)
    form = owner.get("/billing/auto-topup").text
    written = dict(re.findall(r'name="(cap_\w+)" id="\w+" value="([^"]*)"', form))
    assert written["cap_day"] == cap
    fields = TOPUP | written | {"card": card, "currency": currency}
    review = owner.get(f"/billing/auto-topup/review?{urlencode(fields)}").text
    assert f"{price} or more" in review
    assert f"{written['cap_day']} a day, {written['cap_month']} a month" in review
    assert owner.post("/billing/auto-topup", **fields).status_code == 303
    state = ledger.get_auto_topup("acme")
    assert (state["charge"]["amount"], state["caps"]["currency"]) == (amount, currency)
    for page in ("/billing/auto-topup", "/billing/auto-topup/live", "/billing"):
        assert price in owner.get(page).text


@pytest.mark.parametrize(("currency", "amount", "typed", "example"), [
    ("kwd", 9200, "9.20", "15.000 KWD"), ("kwd", 9200, "1,050", "15.000 KWD"),
    ("jpy", 1050, "100.00", "7,500 JPY"), ("huf", 99_900, "5.5", "15,000.00 HUF")])  # fmt: skip
def test_what_is_no_amount_of_the_currency_is_a_fault_of_its_field(
    owner: Browser, database: Database, client_at_stripe: stripe.StripeClient, money: Counts,
    currency: str, amount: int, typed: str, example: str,
) -> None:  # fmt: skip
    only(database, amount, currency)
    card = add_card(owner, client_at_stripe)
    before = money()
    answer = owner.post("/billing/auto-topup", **TOPUP | {"card": card, "cap_day": typed, "cap_month": "500"})
    assert answer.status_code == 422
    assert f"Write an amount of money such as {example}." in answer.text.split('id="cap_day-fault"')[1]
    assert money() == before


def test_too_small_a_charge_is_told_in_the_currency(
    owner: Browser, database: Database, client_at_stripe: stripe.StripeClient, money: Counts
) -> None:
    only(database, 4000, "hkd")
    card = add_card(owner, client_at_stripe)
    before = money()
    fields = TOPUP | {"card": card, "amount": "5", "cap_day": "800", "cap_month": "4000"}
    answer = owner.post("/billing/auto-topup", **fields)
    assert answer.status_code == 422
    assert "One charge would be 2.00 HKD, and less than 4.00 HKD cannot be charged" in answer.text
    assert money() == before


def test_pages_list_the_accounts_own_currency_first(
    owner: Browser, ledger: Ledger, database: Database
) -> None:
    sell(database, "dinar", 9200, "kwd", credits=90)
    both = owner.get("/billing/buy").text
    assert "In other currencies" not in both
    owner.post("/billing/checkout", **KWD | {"package_id": "dinar"})
    paid(ledger, ledger.list_payments("acme", 1, None)["data"][0]["id"])
    own, _, others = owner.get("/billing/buy").text.partition("In other currencies")
    assert "9.200 KWD" in own
    assert "$5.00" not in own
    assert "$5.00" in others
    overview = owner.get("/billing").text
    assert "$5.00" not in overview
    assert "Packages in other currencies" in overview
    # Asked for explicitly, they are bought as before.
    assert owner.post("/billing/checkout", **KWD | {"package_id": "credits_100"}).status_code == 303


def test_the_currency_of_auto_topup_is_chosen_where_there_are_several(
    owner: Browser, ledger: Ledger, database: Database, client_at_stripe: stripe.StripeClient
) -> None:
    sell(database, "dinar", 9200, "kwd", credits=90)
    card = add_card(owner, client_at_stripe)
    assert 'href="/billing/auto-topup?currency=usd"' in owner.get("/billing/auto-topup").text
    form = owner.get("/billing/auto-topup?currency=kwd").text
    fields = TOPUP | dict(re.findall(r'name="(cap_\w+)" id="\w+" value="([^"]*)"', form)) | {"card": card}
    assert fields["cap_day"] == "30.000 KWD"
    assert owner.post("/billing/auto-topup", **fields, currency="kwd").status_code == 303
    state = ledger.get_auto_topup("acme")
    assert (state["charge"]["currency"], state["caps"]["day"], state["caps"]["currency"]) == (
        "kwd",
        30_000,
        "kwd",
    )
    # Back to dollars: with caps in dollars, never the dinars read as dollars.
    form = owner.get("/billing/auto-topup?currency=usd").text
    assert "The present caps are in KWD" in form
    fields |= {"cap_day": "$100.00", "cap_month": "$500.00"}
    assert owner.post("/billing/auto-topup", **fields, currency="usd").status_code == 303
    assert ledger.get_auto_topup("acme")["caps"]["day"] == 10_000


def test_a_discount_is_shown_wherever_the_payment_is(
    owner: Browser, app: Flask, settings: Settings, ledger: Ledger, database: Database
) -> None:
    rows(database, "update billing.credit_packages set active = false returning 1")
    sell(database, "only", 9200, "kwd")
    rows(
        database,
        "update billing.credit_packages set allow_promotion_codes = true where id = 'only' returning 1",
    )
    owner.post("/billing/checkout", **KWD)
    payment = ledger.list_payments("acme", 1, None)["data"][0]
    facts = {"payment_intent": "pi_1", "customer": payment["stripe_customer_id"], "charge": "ch_1", "currency": "kwd",
             "amount_received": 8280, "amount_total": 8280, "discount": 920}  # fmt: skip
    assert ledger.settle_payment(payment["id"], facts)["outcome"] == "granted"
    operator = enter(app, settings, OPERATOR)
    pages = {
        "payments": owner.get("/billing/payments").text,
        "history": owner.get("/billing/history").text,
        "statement": owner.get("/billing/statement").text,
        "ops payment": operator.get(f"/ops/payments/{payment['id']}").text,
    }
    missing = [name for name, text in pages.items() if "0.920 KWD" not in text or "8.280 KWD" not in text]
    assert missing == []
    assert ",8.280,0.920,kwd" in owner.get("/billing/statement.csv").text
