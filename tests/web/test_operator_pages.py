"""Search, payments, usage, notices and pauses on the pages of operators: what they show, what they do, who gets in."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from shared import queue as queues
from shared.ledger import Ledger
from shared.settings import Settings
from tests.support import Database
from tests.web.browsing import OPERATOR, SECOND_OPERATOR, rows
from tests.web.conftest import Counts, make_settings
from tests.web.test_account_pages import told
from tests.web.test_operators import audit, enter, send
from web.local_login import login_url

CREDIT = 1_000_000
WHO = f"operator:{OPERATOR}"


@pytest.fixture
def settings(dsn: str, redis_url: str) -> Settings:
    return make_settings(dsn, redis_url, OPERATORS=f"{OPERATOR},{SECOND_OPERATOR}")


@pytest.fixture
def dana(app: Flask, settings: Settings, acme: str) -> FlaskClient:
    return enter(app, settings, OPERATOR)


@pytest.fixture
def kim(app: Flask, settings: Settings, acme: str) -> FlaskClient:
    return enter(app, settings, SECOND_OPERATOR)


@pytest.fixture
def parked(ledger: Ledger, acme: str) -> str:
    """A purchase of 100 credits for $5.00 of which Stripe said $4.99."""
    ledger.link_customer(acme, "cus_acme")
    ledger.open_purchase("pay_1", acme, "credits_100", 1, "cus_acme")
    facts = {"payment_intent": "pi_1", "customer": "cus_acme", "currency": "usd", "amount_received": 499}
    assert ledger.settle_payment("pay_1", facts)["reason"] == "amount_mismatch"
    return "pay_1"


def messages(settings: Settings, actor: str) -> int:
    """How many messages of an actor its queue has."""
    redis = Redis.from_url(settings.redis_url.get_secret_value())
    return sum(actor.encode() in body for body in redis.hvals(f"dramatiq:{queues.ACTORS[actor]}.msgs"))


def unpriced(ledger: Ledger, acme: str) -> int:
    """An event without a price; its number."""
    event = {"id": "e1", "action": "paint; rm -rf /", "dimensions": {"model": "m<1>", "tokens": 5}}
    ledger.record_usage([event], acme)
    return int(ledger.list_parked_usage(1, None)["data"][0]["id"])


def failed(ledger: Ledger, database: Database) -> int:
    """A delivery that failed; its number."""
    ledger.plan_notices(100, [], [])
    return int(
        rows(database, "update billing.notice_deliveries set state = 'failed', reason = 'smtp' returning id")[
            0
        ][0]
    )


# Search


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("acme", "/ops/accounts/acme"),
        ("cus_acme", "/ops/accounts/acme"),
        ("pay_1", "/ops/payments/pay_1"),
        ("acme run-42", "/ops/accounts/acme?hold=run-42"),
        ("evt_1", "/ops/events/evt_1"),
    ],
)
def test_an_exact_id_leads_straight_to_its_page(
    dana: FlaskClient, ledger: Ledger, parked: str, text: str, page: str
) -> None:
    ledger.place_hold("acme", {"id": "run-42", "amount": CREDIT, "agent": "scout"})
    ledger.record_stripe_event("evt_1", "x.y", "pi_1", False, "v", b"{}", 1, None)
    answer = dana.get(f"/ops/search?q={quote(text)}")
    assert (answer.status_code, answer.headers["Location"]) == (303, page)
    shown = dana.get(page)
    assert shown.status_code == 200
    if "hold" in page:
        assert "scout" in shown.text


def test_a_job_leads_to_its_entry_and_the_entry_to_its_payment(
    dana: FlaskClient, ledger: Ledger, parked: str, database: Database
) -> None:
    ledger.spend_credits("acme", {"id": "chat-7", "amount": CREDIT})
    for number in range(30):
        ledger.spend_credits("acme", {"id": f"later-{number}", "amount": 1})
    answer = dana.get("/ops/search?q=chat-7&account_id=acme")
    entry = rows(database, "select id from billing.credit_transactions where source_id = 'chat-7'")[0][0]
    assert answer.headers["Location"] == f"/ops/accounts/acme?entry={entry}"
    page = dana.get(answer.headers["Location"]).text
    assert 'aria-current="true"><td>Usage<br><small class="muted">txn_' + str(entry) in page
    assert "later-0" not in page
    ledger.record_stripe_event("evt_1", "payment_intent.succeeded", "pi_1", False, "v", b"{}", 1, None)
    assert "/ops/events/evt_1" in dana.get("/ops/payments/pay_1").text
    assert "/ops/search?q=pi_1" in dana.get("/ops/events/evt_1").text


def test_several_hits_are_a_list_with_name_status_and_balance(dana: FlaskClient, ledger: Ledger) -> None:
    ledger.open_account("evil", "<b>Acme</b> 100%", "x@acme.example", None, 0, "tests")
    page = dana.get("/ops/search?q=ACME.exa").text
    for shown in (
        "/ops/accounts/acme",
        "/ops/accounts/evil",
        "billing@acme.example",
        "&lt;b&gt;Acme",
        "active",
    ):
        assert shown in page
    assert "<b>Acme" not in page
    assert "/ops/accounts/acme" not in dana.get("/ops/search?q=100%25").text
    nothing = dana.get("/ops/search?q=%3Cscript%3E%00nobody").text
    assert "Nothing is found under “&lt;script&gt;nobody”" in nothing
    assert dana.get("/ops/search").status_code == 200


def test_every_page_of_operators_has_the_search(dana: FlaskClient, ledger: Ledger, parked: str) -> None:
    for page in ("", "/events", "/payments", "/payments/pay_1", "/topups", "/holds", "/usage", "/notices", "/accounts",
                 "/accounts/acme", "/adjustments", "/reconciliation", "/invariants", "/search"):  # fmt: skip
        assert 'action="/ops/search"' in dana.get(f"/ops{page}").text, page


def test_every_count_of_the_overview_leads_to_its_list(dana: FlaskClient, ledger: Ledger) -> None:
    page = dana.get("/ops").text
    for path in ("/payments?state=parked", "/usage", "/topups/paused", "/notices?state=failed", "/notices?state=pending",
                 "/holds", "/events?state=parked", "/reconciliation"):  # fmt: skip
        assert f'<dt><a href="/ops{path}">' in page
        assert dana.get(f"/ops{path}").status_code == 200
    assert "<dt>" not in page.replace("<dt><a ", "")


# Parked payments


def test_both_sides_of_a_parked_payment_are_shown(dana: FlaskClient, parked: str) -> None:
    page = dana.get("/ops/payments?state=parked").text
    for shown in ("/ops/payments/pay_1", "Acme", "$5.00", "amount mismatch"):
        assert shown in page
    page = dana.get("/ops/payments/pay_1").text
    for shown in ("$5.00", "$4.99", "https://dashboard.stripe.com/test/payments/pi_1", "/ops/accounts/acme"):
        assert shown in page
    assert page.count('class="badge bad">differs') == 1
    assert dana.get("/ops/payments/pay_none").status_code == 404
    assert "pay_1" not in dana.get("/ops/payments?state=succeeded").text
    assert "pay_1" in dana.get("/ops/payments?state=nonsense").text


def test_looking_again_is_due_at_once_and_audited(
    dana: FlaskClient, ledger: Ledger, parked: str, settings: Settings, database: Database
) -> None:
    before = messages(settings, queues.CHECK_PAYMENT)
    assert "Stripe is being asked" in told(send(dana, "/payments/check", payment_id=parked), "good")[0]
    assert messages(settings, queues.CHECK_PAYMENT) == before + 1
    assert ledger.due_work(9)["payments"] == [parked]
    assert audit(database, "payment.rechecked") == [(WHO, parked)]


def test_a_closed_payment_is_given_by_one_adjustment_whoever_makes_it(
    dana: FlaskClient, kim: FlaskClient, ledger: Ledger, parked: str, database: Database
) -> None:
    link = "/ops/accounts/acme?payment=pay_1"
    assert link not in dana.get("/ops/payments/pay_1").text
    assert 'name="payment_id"' not in dana.get(link).text
    form = {"account_id": "acme", "amount": "100", "reason": "payment pay_1", "payment_id": parked}
    refused = send(dana, "/accounts/adjust", **form, request_id="form_0")
    assert "Close this payment first" in told(refused, "bad")[0]
    assert len(told(send(dana, "/payments/close", payment_id=parked, note=""), "bad")) == 1
    assert "closed" in told(send(dana, "/payments/close", payment_id=parked, note="kept: <5 ct>"), "good")[0]
    page = dana.get("/ops/payments/pay_1").text
    assert "kept: &lt;5 ct&gt;" in page
    assert link in page
    assert "/ops/payments/check" not in page
    prefilled = dana.get(link).text
    assert 'name="amount" value="100"' in prefilled
    assert 'name="payment_id" value="pay_1"' in prefilled
    for browser, request_id in ((dana, "form_1"), (kim, "form_2"), (dana, "form_3")):
        send(browser, "/accounts/adjust", **form, request_id=request_id)
    assert ledger.get_balance("acme")["balance"] == 200 * CREDIT
    page = dana.get("/ops/payments/pay_1").text
    assert "Given by adjustment" in page
    assert link not in page
    assert audit(database, "payment.closed") == [(WHO, parked)]
    assert audit(database, "credits.adjusted") == [(WHO, parked)]


def test_the_account_sees_that_a_closed_payment_was_not_granted(
    app: Flask, settings: Settings, dana: FlaskClient, ledger: Ledger, parked: str
) -> None:
    owner, url = app.test_client(), urlsplit(login_url(settings, "acme"))
    owner.get(f"{url.path}?{url.query}")
    assert "Being checked" in owner.get("/billing/payments").text
    send(dana, "/payments/close", payment_id=parked, note="a note for operators")
    page = owner.get("/billing/payments").text
    assert "Checked: not granted" in page
    assert "a note for operators" not in page


def test_an_adjustment_cannot_borrow_the_id_of_somebody_elses_payment(
    dana: FlaskClient, ledger: Ledger, parked: str, money: Counts
) -> None:
    ledger.open_account("other", "Other", None, None, 0, "tests")
    ledger.close_payment(parked, "kept", "dana")
    before = money()
    for account, payment in (("other", parked), ("acme", "pay_none"), ("acme", "adj_1")):
        form = {"account_id": account, "amount": "1", "reason": "r", "request_id": "form_1"}
        assert len(told(send(dana, "/accounts/adjust", **form, payment_id=payment), "bad")) == 1
    assert money() == before


def test_what_is_over_or_unknown_is_refused(
    dana: FlaskClient, ledger: Ledger, parked: str, money: Counts
) -> None:
    ledger.open_purchase("pay_2", "acme", "credits_100", 1, "cus_acme")
    before = money()
    assert (
        "Only a parked payment" in told(send(dana, "/payments/close", payment_id="pay_2", note="n"), "bad")[0]
    )
    for path in ("check", "close"):
        token = {"payment_id": "pay_none", "note": "n"}
        with pytest.raises(AssertionError, match="no such payment"):
            send(dana, f"/payments/{path}", **token)
    assert money() == before


# Usage, pauses, notices, holds


def test_usage_without_a_price_says_how_to_set_it_and_is_discarded(
    dana: FlaskClient, ledger: Ledger, acme: str, database: Database
) -> None:
    number = unpriced(ledger, acme)
    page = dana.get("/ops/usage").text
    assert (
        "actions set &#39;paint; rm -rf /&#39; --model &#39;m&lt;1&gt;&#39; --rate tokens=PRICE/PER" in page
    )
    assert len(told(send(dana, "/usage/discard", parked_id=number, reason=""), "bad")) == 1
    assert (
        "e1 is discarded" in told(send(dana, "/usage/discard", parked_id=number, reason="a test"), "good")[0]
    )
    assert "All usage is booked" in dana.get("/ops/usage").text
    assert audit(database, "usage.discarded") == [(WHO, "e1")]
    for wrong in (number, "", "1; drop", "9" * 30, "-1"):
        with pytest.raises(AssertionError, match="No parked usage"):
            send(dana, "/usage/discard", parked_id=wrong, reason="r")


def test_more_usage_than_a_page_is_reached_by_a_link(dana: FlaskClient, ledger: Ledger, acme: str) -> None:
    ledger.record_usage([{"id": f"e{n}", "action": "paint"} for n in range(101)], acme)
    page = dana.get("/ops/usage").text
    older = page.split('href="/ops/usage?cursor=')[1].split('"')[0]
    assert 'aria-label="e0"' not in page
    assert 'aria-label="e0"' in dana.get(f"/ops/usage?cursor={older}").text
    assert dana.get("/ops/usage?cursor=x").status_code == 422


def test_paused_topups_are_listed_and_resumed(
    dana: FlaskClient, ledger: Ledger, acme: str, database: Database
) -> None:
    ledger.link_customer(acme, "cus_acme")
    ledger.set_default_payment_method(acme, "pm_1", {"brand": "visa"}, "tests")
    wanted = {"enabled": True, "threshold": CREDIT, "credits": 100 * CREDIT, "text_version": "v1"}
    ledger.set_auto_topup(acme, wanted, "tests")
    assert "No auto top-up is paused" in dana.get("/ops/topups/paused").text
    rows(database, "update billing.auto_topup_settings set paused_reason = 'card_declined' returning 1")
    page = dana.get("/ops/topups/paused").text
    assert "card declined" in page
    assert "/ops/accounts/acme" in page
    assert "goes on" in told(send(dana, "/topups/resume", account_id=acme), "good")[0]
    assert ledger.list_paused_topups(9) == []
    assert [actor for actor, _ in audit(database, "auto_topup.resumed")] == [WHO]


def test_failed_notices_are_sent_again(
    dana: FlaskClient, ledger: Ledger, parked: str, settings: Settings, database: Database
) -> None:
    number, before = failed(ledger, database), messages(settings, queues.SEND_NOTICE)
    assert "smtp" in dana.get("/ops/notices?state=failed").text
    assert f"Delivery {number} is due" in told(send(dana, "/notices/replay", delivery_id=number), "good")[0]
    assert "No such deliveries" in dana.get("/ops/notices?state=failed").text
    assert "payment.parked" in dana.get("/ops/notices?state=pending").text
    failed(ledger, database)
    assert "1 failed deliveries are due" in told(send(dana, "/notices/replay-failed"), "good")[0]
    assert messages(settings, queues.SEND_NOTICE) == before + 2
    assert audit(database, "notices.replayed") == [(WHO, str(number)), (WHO, "failed")]
    with pytest.raises(AssertionError, match="no such delivery"):
        send(dana, "/notices/replay", delivery_id=number + 99)


def test_open_holds_are_listed_and_lead_to_their_page(dana: FlaskClient, ledger: Ledger, acme: str) -> None:
    ledger.place_hold(acme, {"id": "run/4 2", "amount": CREDIT})
    page = dana.get("/ops/holds").text
    link = page.split('<td class="source"><a href="')[1].split('"')[0]
    assert "run/4 2" in dana.get(link).text
    assert dana.get("/ops/accounts/acme?hold=none").status_code == 404


FORMS: dict[str, dict[str, Any]] = {
    "/payments/check": {"payment_id": "pay_1"},
    "/payments/close": {"payment_id": "pay_1", "note": "n"},
    "/usage/discard": {"parked_id": "1", "reason": "r"},
    "/notices/replay": {"delivery_id": "1"},
    "/notices/replay-failed": {},
}


@pytest.mark.parametrize("path", FORMS)
def test_82_a_form_without_its_token_does_nothing(
    dana: FlaskClient, ledger: Ledger, parked: str, money: Counts, path: str
) -> None:
    unpriced(ledger, "acme")
    before = money()
    assert dana.post(f"/ops{path}", data=FORMS[path]).status_code == 400
    assert money() == before
