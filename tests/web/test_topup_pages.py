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
    ledger.spend_credits("acme", {"id": "a1", "amount": 60 * CREDIT})
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
    ledger.spend_credits("acme", {"id": "a1", "amount": 60 * CREDIT})
    opened = ledger.open_topup("acme", "tu_1", "pay_1")
    assert opened["topup_id"] == "tu_1"
    if outcome != "open_topup":
        # It was charged, and spent again.
        facts = {"payment_intent": "pi_1", "amount_received": 500, "currency": "usd", "charge": "ch_1"}
        customer = (ledger.get_customer("acme") or {})["stripe_customer_id"]
        ledger.settle_payment("pay_1", facts | {"customer": customer})
        ledger.spend_credits("acme", {"id": "a2", "amount": 100 * CREDIT})
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
    assert owner.post("/billing/auto-topup/resume").status_code == 303
    assert "There is no card to charge" in owner.get(PAGE).text
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
    ledger.spend_credits("acme", {"id": "a1", "amount": 60 * CREDIT})
    ledger.open_topup("acme", "tu_1", "pay_1")
    owner.post("/billing/auto-topup/off")
    assert "The charge that has begun may still be completed." in owner.get(PAGE).text
    rows(database, "update billing.topups set state = 'action_required' returning 1")
    owner.post("/billing/auto-topup/off")
    assert "Nothing is charged by itself any more." in owner.get(PAGE).text


def test_preview_says_what_saving_does_now(owner: Browser, ledger: Ledger, card: str) -> None:
    query = "&".join(f"{name}={value}" for name, value in (TOPUP | {"card": card}).items())
    assert "charges nothing now: 100 credits" in owner.get(f"/billing/auto-topup/review?{query}").text
    ledger.spend_credits("acme", {"id": "a1", "amount": 60 * CREDIT})
    page = owner.get(f"/billing/auto-topup/review?{query}").text
    assert "saving charges $5.00 to Visa •••• 4242 at once" in page
    # A card that the form does not name is the default, and is named before anybody consents to it.
    unnamed = owner.get(f"/billing/auto-topup/review?{query}".replace(f"card={card}", "card="))
    assert f'name="card" value="{card}"' in unnamed.text
    assert "to Visa •••• 4242 at once" in unnamed.text
    assert ledger.get_auto_topup("acme")["enabled"] is False


def test_enabling_needs_the_box_and_keeps_who_allowed_what(
    owner: Browser, ledger: Ledger, card: str, money: Counts
) -> None:
    before = money()
    for consent in ("", "on", "2020-01", "2026-11"):
        refused = owner.post("/billing/auto-topup", **TOPUP | {"card": card, "consent": consent})
        assert refused.status_code == 422
        former = "The text has changed. Read it and tick the box"
        assert (former if consent == "2026-11" else "Tick the box") in refused.text
    assert money() == before
    assert owner.post("/billing/auto-topup", **TOPUP | {"card": card}).status_code == 303
    assert ledger.get_auto_topup("acme")["enabled"] is True
    assert owner.post("/billing/auto-topup/off").status_code == 303
    page = owner.get("/billing/auto-topup").text
    assert "Switched off" in page
    assert "At 50: add 100, at most $100.00 a day, $500.00 a month, 3 an hour" in re.sub(r"\s+", " ", page)
    assert ">You<" in page


def test_a_charge_that_takes_several_amounts_is_what_the_words_say(
    owner: Browser, ledger: Ledger, card: str
) -> None:
    ledger.spend_credits("acme", {"id": "a1", "amount": 90 * CREDIT})
    wanted = TOPUP | {"card": card, "threshold": "150"}
    page = owner.get("/billing/auto-topup/review?" + "&".join(f"{n}={v}" for n, v in wanted.items())).text
    assert "add 100 credits, or a multiple of them when 100 would not lift the balance above 150" in page
    assert "<dt>One charge</dt><dd>$5.00 or more</dd>" in page
    assert "saving charges $10.00 to Visa •••• 4242 at once</strong> and adds 200 credits." in page
    assert "it can be larger than the smallest charge named above" in page
    ledger.adjust_credits("a2", "acme", 200 * CREDIT, "tests", "tests")
    owner.post("/billing/auto-topup", **wanted)
    for path in ("/billing", "/billing/auto-topup"):
        said = " ".join(re.sub("<[^>]+>", " ", owner.get(path).text).split())
        assert (
            "One charge is $5.00 or more. It adds 100 credits, or a multiple of them when 100 would not"
            in said
        )
    assert "<strong>$5.00 or more</strong> when the balance falls to 150" in owner.get("/billing").text


def test_smallest_charge_that_is_named_has_its_fees_in_either_mode(
    owner: Browser, ledger: Ledger, card: str
) -> None:
    ledger.set_fee_rule({"id": "fee", "kind": "fee", "label": "Handling", "percent": "0", "fixed": 50, "applies_to": "both",
                         "currency": None}, "tests")  # fmt: skip
    wanted = TOPUP | {"card": card, "mode": "target", "amount": "250"}
    page = owner.get("/billing/auto-topup/review?" + "&".join(f"{n}={v}" for n, v in wanted.items())).text
    assert "$10.50 or more ($10.00 Credits + $0.50 Handling); smaller only where a cap leaves less" in page


def test_without_a_card_nothing_is_allowed_and_the_pages_lead_to_one(
    owner: Browser, ledger: Ledger, card: str, money: Counts
) -> None:
    owner.post("/billing/auto-topup", **TOPUP | {"card": card})
    owner.post(f"/billing/payment-methods/{card}/remove")
    page = owner.get("/billing/auto-topup").text
    assert "Switch auto top-up off" in page
    assert 'href="/billing/payment-methods" role="button"' in page
    assert "Add a card" in page
    for offer in ("Continue", "Resume", "also resume it"):
        assert offer not in page
    before = money()
    for answer in (
        owner.post("/billing/auto-topup", **TOPUP),
        owner.get("/billing/auto-topup/review?" + "&".join(f"{n}={v}" for n, v in TOPUP.items())),
    ):
        assert answer.status_code == 422
        assert 'role="alert">There is no card to charge. Add a card first.' in answer.text
        assert 'name="consent"' not in answer.text
    assert money() == before
    # A page that was open before the card was removed.
    answer = owner.post("/billing/auto-topup/resume")
    assert answer.location == "/billing/auto-topup"
    assert "There is no card to charge. Add a card first." in owner.get(answer.location).text
    assert ledger.get_auto_topup("acme")["paused_reason"] == "no_payment_method"


def test_cards_of_which_none_is_charged_are_to_be_chosen_from(
    owner: Browser, ledger: Ledger, card: str, database: Database
) -> None:
    owner.post("/billing/auto-topup", **TOPUP | {"card": card})
    rows(database, "update billing.customers set default_payment_method = null returning 1")
    rows(database, "update billing.auto_topup_settings set paused_reason = 'no_payment_method' returning 1")
    page = owner.get("/billing/auto-topup").text
    assert "Choose a card" in page
    assert ">Resume<" not in page
    assert owner.post("/billing/auto-topup", **TOPUP).status_code == 422
    assert "Continue" in page


def test_what_was_allowed_under_the_former_text_stays_and_its_words_are_kept(
    owner: Browser, ledger: Ledger, card: str
) -> None:
    former = {"enabled": True, "threshold": 50 * CREDIT, "credits": 100 * CREDIT, "text_version": "2026-11"}
    ledger.set_auto_topup("acme", former, "tests")
    assert ledger.get_auto_topup("acme")["enabled"] is True
    page = owner.get("/billing/auto-topup").text
    assert "<dt>2026-11</dt><dd>I allow the card named above" in page
    assert f"<dt>{CONSENT_TEXT_VERSION}</dt>" not in page


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"threshold": "x"}, "threshold", "Write a number of credits"),
        ({"amount": "0"}, "amount", "more than zero"),
        ({"amount": "1"}, "amount", "One charge would be $0.05, and less than $0.50 cannot be charged."),
        ({"mode": "target", "amount": "50"}, "amount", "more than the threshold"),
        ({"mode": "other"}, "mode", "Choose one of these."),
        ({"cap_day": "$1.00"}, "cap_day", "One charge is $5.00 or more, and this leaves no room for it."),
        ({"cap_day": "4", "cap_month": "4"}, "cap_day", "no room for it"),
        ({"amount": "1000000000"}, "amount", "the most that can be charged at once"),
        ({"cap_month": "$50.00"}, "cap_month", "cannot be less than the most in a day"),
        ({"cap_month": "1,5"}, "cap_month", "commas between thousands only"),
        ({"cap_day": "99,99"}, "cap_day", "commas between thousands only"),
        ({"amount": "12,5"}, "amount", "commas between thousands only"),
        ({"threshold": "0,5"}, "threshold", "commas between thousands only"),
        ({"cap_day": "1e9"}, "cap_day", "Write an amount of money"),
        ({"per_hour": "11"}, "per_hour", "from 1 to 10"),
        ({"card": "pm_of_somebody_else"}, "card", "not saved any more"),
    ],
)  # fmt: skip
def test_faults_stand_at_their_fields(
    owner: Browser, card: str, money: Counts, change: dict[str, str], field: str, said: str
) -> None:
    before = money()
    answer = owner.post("/billing/auto-topup", **TOPUP | {"card": card} | change)
    assert answer.status_code == 422
    fault = re.search(rf'id="{field}-fault" class="fault">([^<]+)<', answer.text)
    assert fault is not None
    assert said in fault[1]
    if field != "mode":
        assert f'value="{change.get(field, "")}"' in answer.text or field == "card"
    assert money() == before


def reviewed(browser: Browser) -> dict[str, str]:
    """What the form of the consent would send, box ticked."""
    page = browser.get(f"{PAGE}/review?{urlencode(TOPUP)}").text
    form = page[page.index('<form method="post" action="/billing/auto-topup">') :]
    found = re.findall(r'<input type="(?:hidden|checkbox)" name="(\w+)" value="([^"]*)"', form)
    return {name: value for name, value in found if name != "csrf_token"}


def raise_prices(database: Database, factor: int = 2) -> None:
    with database.connect() as connection:
        connection.execute("update billing.credit_packages set amount = amount * %s", [factor])


def test_price_that_rose_while_it_was_reviewed_is_shown_and_asked_for_again(
    owner: Browser, ledger: Ledger, database: Database, card: str
) -> None:
    sent = reviewed(owner)
    raise_prices(database)
    answer = owner.post(SAVE, **sent)
    assert answer.status_code == 422
    assert "The price has changed. Look at it, and tick the box to allow it." in answer.text
    assert ledger.list_auto_topup_consents("acme", 9) == []
    assert owner.post(SAVE, **reviewed(owner)).status_code == 303
    consent = ledger.list_auto_topup_consents("acme", 9)[0]
    assert consent["price"]
    assert str(consent["price"]["charge"]["amount"]) == reviewed(owner)["shown"]


def test_pages_ask_for_a_consent_to_a_price_that_has_risen(
    owner: Browser, ledger: Ledger, database: Database, card: str
) -> None:
    owner.post(SAVE, **reviewed(owner))
    raise_prices(database)
    risen = "Nothing is charged until an owner allows the new price."
    assert risen in owner.get(PAGE).text
    assert "Continue to see the new price" in owner.get(PAGE).text
    assert "The price of credits has risen." in owner.get("/billing").text
    ledger.record_usage([{"id": "all", "amount": 200 * CREDIT}], "acme")
    assert ledger.open_topup("acme", "t", "p")["reason"] == "price_changed"
    for path in (PAGE, "/billing"):
        assert "cost" in owner.get(path).text
        assert risen in owner.get(path).text or "allow it" in owner.get(path).text
    assert ">Resume</button>" not in owner.get(PAGE).text
    assert owner.post(f"{PAGE}/resume").status_code == 303
    assert "an owner reviews the new price and consents to it" in owner.get(PAGE).text
    assert ledger.get_auto_topup("acme")["paused_reason"] == "price_changed"
    owner.post(SAVE, **reviewed(owner))
    assert ledger.get_auto_topup("acme")["paused_reason"] is None
    assert risen not in owner.get(PAGE).text
