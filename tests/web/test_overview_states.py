"""What the overview says in each state of an account: what is wrong, what is charged next, and the way on."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.ledger import Ledger
from tests.support import Database
from tests.web.browsing import rows
from tests.web.test_account_pages import owner
from web.api.auto_topup import CONSENT_TEXT_VERSION

__all__ = ["owner"]
CREDIT = 1_000_000
CAPS = {"day": 10_000, "month": 50_000, "per_hour": 3, "currency": "usd"}
TOPUP = {"enabled": True, "threshold": 50 * CREDIT, "mode": "fixed", "credits": 100 * CREDIT, "caps": CAPS}


def card_of(page: str, heading: str) -> str:
    """The words of a card."""
    found = re.search(rf"<section[^>]*>(?:(?!</section>).)*<h2[^>]*>{heading}.*?</section>", page, re.DOTALL)
    assert found is not None, heading
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split())


def notices(page: str) -> str:
    """The words of the notices above the cards."""
    found = re.search(r'<div id="live".*?<div class="columns">', page, re.DOTALL)
    assert found is not None
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split()).replace(" .", ".")


@pytest.fixture
def charged(ledger: Ledger, acme: str, database: Database) -> Any:
    """Opens an automatic charge and puts it in a state."""

    def make(state: str) -> None:
        ledger.link_customer(acme, "cus_acme")
        rows(
            database,
            "update billing.customers set default_payment_method = 'pm_1',"
            ' card = \'{"brand": "visa", "last4": "4242"}\' where account_id = \'acme\' returning 1',
        )
        ledger.set_auto_topup(acme, TOPUP | {"text_version": CONSENT_TEXT_VERSION}, "tests")
        ledger.spend_credits(acme, {"id": "crossing", "amount": 60 * CREDIT})
        ledger.open_topup(acme, "top_1", "pay_1")
        dead = "now()" if state == "declined" else "null"
        assert rows(
            database, f"update billing.topups set state = '{state}', dead_at = {dead} returning 1"
        ) == [(1,)]

    return make


def test_a_charge_that_waits_for_the_card_holder_has_its_link_everywhere(
    owner: FlaskClient, charged: Any, database: Database
) -> None:
    charged("action_required")
    rows(
        database,
        "update billing.auto_topup_settings set paused_reason = 'authentication_required' returning 1",
    )
    for path in ("/billing", "/billing/live", "/billing/auto-topup"):
        page = owner.get(path).text
        links = re.findall(r'href="http://localhost:8000(/billing/pay/[^"]+)"', page)
        assert links, path
        assert "Needs you" in page
    page = owner.get("/billing").text
    assert "confirm $5.00" in notices(page)
    assert "once a card holder confirms it" in card_of(page, "Charged next")
    assert "only when you buy" not in page


@pytest.mark.parametrize("state", ["open", "processing", "unknown"])
def test_a_charge_under_way_is_what_is_charged_next(owner: FlaskClient, charged: Any, state: str) -> None:
    charged(state)
    said = card_of(owner.get("/billing").text, "Charged next")
    assert "$5.00 for 100 credits is being charged now to Visa •••• 4242" in said


def test_a_charge_that_is_held_back_says_until_when_and_why(
    owner: FlaskClient, charged: Any, database: Database
) -> None:
    charged("declined")
    rows(
        database,
        "update billing.auto_topup_settings set next_attempt_at = '2031-02-03 04:05:06+00', waiting_reason = 'cap_day'"
        " returning 1",
    )
    said = card_of(owner.get("/billing").text, "Charged next")
    assert (
        "$5.00 or more on 3 Feb 2031, 04:05 UTC at the earliest, since the cap for a day is reached" in said
    )


def test_an_account_without_credits_lasts_no_longer(owner: FlaskClient, ledger: Ledger, acme: str) -> None:
    ledger.spend_credits(acme, {"id": "all", "amount": 100 * CREDIT})
    page = owner.get("/billing").text
    assert "No credits left. Agents are refused until you buy credits." in notices(page)
    assert "Lasts nothing left" in card_of(page, "Available credits")
    assert "Status Out of credits" in card_of(page, "Available credits")


def test_credits_that_running_work_holds_are_not_called_spent(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    ledger.place_hold(acme, {"id": "run", "amount": 100 * CREDIT})
    assert "Running work holds every credit." in notices(owner.get("/billing").text)


def test_an_account_in_which_nothing_happened_is_not_told_off(
    owner: FlaskClient, ledger: Ledger, database: Database
) -> None:
    ledger.open_account("fresh", "Fresh", None, None, 0, "tests")
    user = ledger.list_members("acme")[0]["user_id"]
    ledger.set_member("fresh", user, "owner", "tests")
    rows(database, "update billing.member_sessions set account_id = 'fresh' returning 1")
    said = notices(owner.get("/billing").text)
    assert "No credits yet." in said
    assert "refused" not in said


def test_a_disputed_account_is_led_to_the_payment(
    owner: FlaskClient, ledger: Ledger, acme: str, database: Database
) -> None:
    ledger.link_customer(acme, "cus_acme")
    ledger.open_purchase("pay_1", acme, "credits_100", 1, "cus_acme")
    rows(database, "update billing.credit_balances set status = 'paused' returning 1")
    rows(
        database,
        "insert into billing.payment_reversals (id, account_id, payment_id, kind, amount, status, is_taken, is_open,"
        " occurred_at) values ('du_1', 'acme', 'pay_1', 'dispute', 500, 'needs_response', true, true, now()) returning 1",
    )
    page = owner.get("/billing").text
    assert 'href="/billing/payments">See the payment' in page


def test_a_member_is_told_who_can_help_and_offered_nothing(
    owner: FlaskClient, ledger: Ledger, acme: str, database: Database
) -> None:
    ledger.spend_credits(acme, {"id": "all", "amount": 100 * CREDIT})
    rows(database, "update billing.account_members set role = 'member' returning 1")
    page = owner.get("/billing").text
    assert "Agents are refused until an admin or an owner buys credits." in notices(page)
    assert 'href="#buy"' not in page


def test_a_stopped_auto_top_up_is_told_before_credits_are_gone(
    owner: FlaskClient, charged: Any, database: Database
) -> None:
    charged("declined")
    rows(database, "update billing.auto_topup_settings set paused_reason = 'card_declined' returning 1")
    said = notices(owner.get("/billing").text)
    assert "Auto top-up has stopped: the bank declined the card. Nothing is charged by itself until" in said
    assert "resume auto top-up" in said


def test_a_full_refund_names_the_one_click_that_resumes(
    owner: FlaskClient, ledger: Ledger, acme: str, charged: Any, database: Database
) -> None:
    charged("declined")
    ledger.set_default_payment_method(acme, "pm_1", {"brand": "visa", "last4": "4242"}, "tests")
    rows(database, "update billing.auto_topup_settings set paused_reason = 'refunded' returning 1")
    said = notices(owner.get("/billing").text)
    assert (
        "Auto top-up has stopped: a payment was refunded in full. Nothing is charged by itself until you"
        in said
    )
    assert "add another card" not in said
    page = owner.get("/billing/auto-topup").text
    assert "An owner can resume it; after that, spending may charge the card again." in page
    assert 'action="/billing/auto-topup/resume"' in page


def test_credits_that_fell_without_a_spend_wait_for_the_next_one(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    ledger.link_customer(acme, "cus_acme")
    ledger.set_default_payment_method(acme, "pm_1", {"brand": "visa", "last4": "4242"}, "tests")
    ledger.set_auto_topup(acme, TOPUP | {"text_version": CONSENT_TEXT_VERSION}, "tests")
    ledger.adjust_credits("a1", acme, -60 * CREDIT, "A correction", "tests")
    page = owner.get("/billing").text
    assert "$5.00 or more when credits are spent next" in card_of(page, "Charged next")
    assert "The next spend charges the card." in owner.get("/billing/auto-topup").text


def test_an_unpaid_plan_is_told_with_the_way_to_its_invoice(
    owner: FlaskClient, ledger: Ledger, acme: str, database: Database
) -> None:
    ledger.link_customer(acme, "cus_1")
    rows(
        database,
        "insert into billing.subscriptions (id, account_id, plan_id, stripe_customer_id, status, quantity,"
        " cancel_at_period_end, current_period_end, started_at, version)"
        " values ('sub_1', 'acme', 'pro', 'cus_1', 'past_due', 1, false, '2031-02-03', now(), 1) returning 1",
    )
    page = owner.get("/billing").text
    assert "The last invoice of the plan Pro is not paid," in notices(page)
    assert 'href="/billing/payments">Pay it' in page


def test_credits_that_expire_are_told_with_their_day(
    owner: FlaskClient, ledger: Ledger, acme: str, database: Database
) -> None:
    page = owner.get("/billing").text
    assert "Expire next" not in page
    assert "Where the credits come from" not in page
    rows(database, "update billing.credit_lots set expires_at = '2031-02-03 04:00:00+00' returning 1")
    for number, day in (("1", "2031-02-03 09:00:00+00"), ("2", "2031-02-04"), ("3", "infinity")):
        ledger.adjust_credits(f"adj_{number}", acme, 5 * CREDIT, "More", "tests")
        newest = f"update billing.credit_lots set expires_at = '{day}' where id = (select max(id) from billing.credit_lots)"
        rows(database, f"{newest} returning 1")
    page = owner.get("/billing").text
    assert "Expire next 105 on 3 Feb 2031" in card_of(page, "Available credits")
    assert "100 of 100" in page


def test_what_refreshes_itself_never_shows_another_account(owner: FlaskClient, ledger: Ledger) -> None:
    for part in ("live", "balance", "auto-topup/live"):
        assert owner.get(f"/billing/{part}?account=acme").status_code == 200
        refused = owner.get(f"/billing/{part}?account=other")
        assert refused.status_code == 409
        assert "header-balance" not in refused.text
        assert "Auto top-up" not in refused.text


def test_a_disputed_payment_is_told_in_the_words_of_whoever_paid(
    owner: FlaskClient, ledger: Ledger, acme: str, database: Database
) -> None:
    ledger.link_customer(acme, "cus_acme")
    ledger.open_purchase("pay_1", acme, "credits_100", 1, "cus_acme")
    rows(
        database,
        "insert into billing.payment_reversals (id, account_id, payment_id, kind, amount, status, is_taken, is_open,"
        " occurred_at) values ('du_1', 'acme', 'pay_1', 'dispute', 500, 'needs_response', true, true, now()) returning 1",
    )
    page = owner.get("/billing/payments").text
    assert '<span class="badge warn">Disputed</span>' in page
    assert "the bank is deciding" in page
    assert "needs response" not in page


def test_how_long_credits_last_is_no_alarm_after_one_burst(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    assert "Lasts no usage this week" in card_of(owner.get("/billing").text, "Available credits")
    ledger.spend_credits(acme, {"id": "burst", "amount": 10 * CREDIT})
    said = card_of(owner.get("/billing").text, "Available credits")
    assert "Lasts about 9 days Status" in said


def test_how_long_credits_last_says_that_auto_topup_adds_more(
    owner: FlaskClient, charged: Any, database: Database
) -> None:
    charged("succeeded")
    for path in ("/billing", "/billing/live"):
        assert "about 17 h, more with auto top-up" in " ".join(owner.get(path).text.split())
    rows(database, "update billing.auto_topup_settings set paused_reason = 'no_payment_method' returning 1")
    assert "more with auto top-up" not in owner.get("/billing").text
