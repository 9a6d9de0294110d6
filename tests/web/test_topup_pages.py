"""Auto top-up as pages: what the form begins with, what a consent records, and what is said of the charge."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
import stripe
from limits import parse

from shared import queue as queues
from shared.ledger import Ledger
from shared.queue import Queue
from tests.support import Database
from tests.web.browsing import rows
from tests.web.conftest import Counts
from tests.web.test_money_pages import (
    CREDIT,
    TOPUP,
    Browser,
    add_card,
    app,
    card,
    client_at_stripe,
    owner,
    server,
    settings,
)
from web import limits
from web.api.auto_topup import CONSENT_TEXT, CONSENT_TEXT_VERSION

__all__ = ["app", "card", "client_at_stripe", "owner", "server", "settings"]
PAGE, SAVE = "/billing/auto-topup", "/billing/auto-topup"


def begins_with(browser: Browser) -> dict[str, str]:
    """The form's fields as a person finds them."""
    page = browser.get(PAGE).text
    fields = dict(re.findall(r'<input name="(\w+)" id="\w+" value="([^"]*)"', page))
    mode = re.search(r'name="mode" value="(\w+)" checked', page)
    chosen = re.search(r'<option value="(\w+)" selected', page)
    assert mode is not None
    assert chosen is not None
    return fields | {"mode": mode[1], "card": chosen[1]}


def review(browser: Browser, **fields: str) -> str:
    answer = browser.get(f"{PAGE}/review?{urlencode(TOPUP | fields)}")
    assert answer.status_code == 200
    return answer.text


def myself(ledger: Ledger) -> str:
    (member,) = ledger.list_members("acme")
    return f"member:{member['user_id']}"


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What the queue is told."""
    sent: list[tuple[str, ...]] = []
    monkeypatch.setattr(Queue, "hint", lambda _self, *message: sent.append(message))
    return sent


@pytest.mark.parametrize(
    "saved",
    [
        {"threshold": "0", "cap_day": "50.00", "cap_month": "70.00", "per_hour": "1"},
        {"threshold": "12.5", "mode": "target", "amount": "1200", "cap_day": "90.00", "cap_month": "900.00"},
        {"threshold": "1,050", "cap_day": "$1,050.00", "cap_month": "$2,000.00", "per_hour": "10"},
    ],
)
def test_form_begins_with_what_is_saved(owner: Browser, card: str, saved: dict[str, str]) -> None:
    assert owner.post(SAVE, **TOPUP | {"card": card} | saved).status_code == 303
    found = begins_with(owner)
    wanted = TOPUP | {"card": card} | saved
    for name in ("threshold", "amount", "mode", "per_hour", "card"):
        assert found[name].replace(",", "") == wanted[name].replace(",", ""), name
    for name in ("cap_day", "cap_month"):
        assert float(re.sub(r"[$,]", "", found[name])) == float(re.sub(r"[$,]", "", wanted[name])), name
    # What it begins with can be sent as it is.
    assert 'id="effect"' in review(owner, **found)


def test_review_names_every_number_and_the_text_that_is_consented_to(owner: Browser, card: str) -> None:
    page = re.sub(r"\s+", " ", review(owner, card=card, per_hour="2"))
    for said in (
        "50 credits or less",
        "add 100 credits",
        "Visa •••• 4242",
        "$100.00 a day, $500.00 a month, 2 charges",
    ):
        assert said in page
    assert CONSENT_TEXT in page
    assert f'name="consent" value="{CONSENT_TEXT_VERSION}" required' in page
    assert 'name="consent" value="' + CONSENT_TEXT_VERSION + '" checked' not in page
    page = review(owner, card=card, mode="target", amount="120")
    assert "fill up to 120 credits" in page


def test_consent_names_person_text_and_every_number(owner: Browser, ledger: Ledger, card: str) -> None:
    owner.post(SAVE, **TOPUP | {"card": card})
    owner.post("/billing/auto-topup/off")
    off, on = ledger.list_auto_topup_consents("acme", 9)
    assert (on["actor"], on["text_version"], on["enabled"]) == (myself(ledger), CONSENT_TEXT_VERSION, True)
    assert (on["threshold"], on["credits"], on["mode"]) == (50 * CREDIT, 100 * CREDIT, "fixed")
    assert on["caps"] == {"day": 10_000, "month": 50_000, "per_hour": 3, "currency": "usd"}
    assert (off["actor"], off["enabled"]) == (myself(ledger), False)


def test_card_that_is_consented_to_is_the_one_that_is_charged(
    owner: Browser, ledger: Ledger, card: str, client_at_stripe: stripe.StripeClient
) -> None:
    other = add_card(owner, client_at_stripe, "pm_card_mastercard")
    assert "Mastercard •••• 4444; it becomes the default" in review(owner, card=other)
    assert [m["id"] for m in ledger.list_payment_methods("acme") if m["default"]] == [card]
    assert owner.post(SAVE, **TOPUP | {"card": other}).status_code == 303
    assert [m["id"] for m in ledger.list_payment_methods("acme") if m["default"]] == [other]


def test_90_choosing_cards_by_this_form_is_limited_as_it_is_on_the_page_of_cards(
    owner: Browser,
    ledger: Ledger,
    card: str,
    money: Counts,
    client_at_stripe: stripe.StripeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = add_card(owner, client_at_stripe, "pm_card_mastercard")
    monkeypatch.setattr(limits, "PER_ACCOUNT", parse("2 per hour"))
    for chosen in (other, card):
        assert owner.post(SAVE, **TOPUP | {"card": chosen}).status_code == 303
    before = money()
    assert owner.post(SAVE, **TOPUP | {"card": other}).status_code == 429
    assert owner.post(f"/billing/payment-methods/{other}/default").status_code == 429
    assert money() == before
    # Whoever changes numbers alone asks Stripe for nothing.
    assert owner.post(SAVE, **TOPUP | {"card": card, "threshold": "40"}).status_code == 303


def test_saving_below_the_threshold_says_so_and_has_the_card_charged_at_once(
    owner: Browser, ledger: Ledger, card: str, hints: list[tuple[str, ...]]
) -> None:
    owner.post(SAVE, **TOPUP | {"card": card})
    assert hints == []
    assert "The card is charged now" not in owner.get(PAGE).text
    ledger.adjust_credits("a1", "acme", -60 * CREDIT, "tests", "tests")
    owner.post(SAVE, **TOPUP | {"card": card})
    assert hints == [(queues.CHECK_THRESHOLD, "acme")]
    assert "Auto top-up is on. The card is charged now." in owner.get(PAGE).text


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("cap_day", "Saving charges nothing now"),
        ("cap_per_hour", "Saving charges nothing now"),
        ("open_topup", "A charge is under way already"),
    ],
)
def test_preview_says_what_stands_in_the_way_of_a_charge(
    owner: Browser, ledger: Ledger, card: str, database: Database, outcome: str, said: str
) -> None:
    tight = {"card": card, "cap_day": "5.00", "cap_month": "500", "per_hour": "1"}
    loose = {"card": card, "per_hour": "10"}
    owner.post(SAVE, **TOPUP | loose)
    ledger.adjust_credits("a1", "acme", -60 * CREDIT, "tests", "tests")
    opened = ledger.open_topup("acme", "tu_1", "pay_1")
    assert opened["topup_id"] == "tu_1"
    if outcome != "open_topup":
        # It was charged, and spent again.
        facts = {"payment_intent": "pi_1", "amount_received": 500, "currency": "usd", "charge": "ch_1"}
        customer = (ledger.get_customer("acme") or {})["stripe_customer_id"]
        ledger.settle_payment("pay_1", facts | {"customer": customer})
        ledger.adjust_credits("a2", "acme", -100 * CREDIT, "tests", "tests")
    change = (
        loose
        if outcome == "open_topup"
        else tight | ({"per_hour": "10"} if outcome == "cap_day" else {"cap_day": "100"})
    )
    page = review(owner, **change)
    assert said in page
    assert "at once" not in page.split("<form")[0]
    assert "Allow, and charge" not in page
    assert ledger.list_auto_topup_consents("acme", 9)[0]["caps"]["per_hour"] == 10  # type: ignore[index]


def test_resuming_without_a_card_is_refused_and_with_one_it_goes_on(
    owner: Browser, ledger: Ledger, card: str, database: Database, client_at_stripe: stripe.StripeClient
) -> None:
    owner.post(SAVE, **TOPUP | {"card": card})
    owner.post(f"/billing/payment-methods/{card}/remove")
    assert ledger.get_auto_topup("acme")["paused_reason"] == "no_payment_method"
    refused = owner.post("/billing/auto-topup/resume")
    assert refused.status_code == 409
    assert "There is no card to charge" in refused.text
    assert ledger.get_auto_topup("acme")["paused_reason"] == "no_payment_method"
    add_card(owner, client_at_stripe)
    rows(database, "update billing.auto_topup_settings set paused_reason = 'card_declined' returning 1")
    assert owner.post("/billing/auto-topup/resume").status_code == 303
    assert ledger.get_auto_topup("acme")["paused_reason"] is None
    assert "Auto top-up is resumed." in owner.get(PAGE).text


def test_switching_off_says_when_a_charge_has_begun(
    owner: Browser, ledger: Ledger, card: str, database: Database
) -> None:
    owner.post(SAVE, **TOPUP | {"card": card})
    ledger.adjust_credits("a1", "acme", -60 * CREDIT, "tests", "tests")
    ledger.open_topup("acme", "tu_1", "pay_1")
    owner.post("/billing/auto-topup/off")
    assert "The charge that has begun may still be completed." in owner.get(PAGE).text
    rows(database, "update billing.topups set state = 'action_required' returning 1")
    owner.post("/billing/auto-topup/off")
    assert "Nothing is charged by itself any more." in owner.get(PAGE).text
