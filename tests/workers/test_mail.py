"""Notices: every topic has a text, and a mail that cannot be sent is tried again."""

from __future__ import annotations

import html
import re
import smtplib
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from shared import pay_links
from shared.notice_models import Notice
from shared.notices import OPERATORS, TOPICS
from shared.settings import Settings
from tests.workers.receivers import SmtpServer
from tests.workers.world import ACCOUNT, CREDIT, World
from workers import delivery, mail, notice_text
from workers.app import App

TOPUP = {"payment_id": "pay_1", "credits": 100_500_000, "amount": 1050, "currency": "usd"}
DISPUTE = {
    "payment_id": "pay_1",
    "amount": 1_050,
    "currency": "usd",
    "status": "needs_response",
    "reason": "fraudulent",
}
PAYLOADS: dict[str, dict[str, Any]] = {
    "account.email_refused": {},
    "topup.recovered": {**TOPUP, "failing_since": "2027-01-01T00:00:00+00:00"},
    "payment.action_required": TOPUP,
    "account.grace": {"reason": "card_declined", "grace_until": "2027-01-01T00:00:00+00:00", "credits": 5_000_000},
    "account.paused": {"reason": "payment_failed", "grace_until": "2027-01-01T00:00:00+00:00"},
    "topup.succeeded": {**TOPUP, "receipt_url": "https://stripe.test/r"},
    "topup.declined": TOPUP,
    "topup.paused": {"reason": "card_declined"},
    "topup.action_required": TOPUP,
    "topup.capped": {"cap": "cap_day", "until": "2027-01-01T00:00:00+00:00"},
    "balance.low": {"available": 9_500_000, "level": 20_000_000, "auto_topup": False},
    "payment.parked": {"payment_id": "pay_1"},
    "card.expiring": {"brand": "visa", "last4": "4242", "exp_month": 1, "exp_year": 2027, "auto_topup": True},
    "lot.expiring": {"credits": 12_500_000, "expires_at": "2027-01-01T00:00:00+00:00", "lots": [
        {"id": "lot_1", "remaining": 12_500_000, "expires_at": "2027-01-01T00:00:00+00:00"}]},
    "limit.reached": {"scope": "agent", "scope_id": "scout", "window": "day", "credits": 50_000_000,
                      "used": 50_250_000, "hard": True, "resets_at": "2027-01-01T00:00:00+00:00"},
    "operations.reconciliation_difference": {"subject": "pi_1", "reason": "not_paid", "kind": "payments", "account_id": "a"},
    "operations.usage_unpriced": {"code": "unknown_model", "action": "chat", "model": "new-1", "events": 3,
                                  "account_id": ACCOUNT},
    "payment.refunded": {"payment_id": "pay_1", "credits": 40_000_000, "amount": 1_050, "currency": "usd"},
    "subscription.credits_granted": {"credits": 500_000_000, "plan": "Starter", "amount": 1_050, "currency": "usd",
                                     "period_end": "2027-01-01T00:00:00+00:00", "credits_expire": True},
    "subscription.credits_returned": {"credits": 250_000_000, "plan": "Starter", "amount": 1_050, "currency": "usd"},
    "operations.plan_price_mismatch": {
        "plan": "pro", "reason": "amount", "price": "price_1", "amount": 1_050, "currency": "usd", "interval": "month",
        "interval_count": 1, "product": None, "account_id": ACCOUNT, "at_stripe": {
            "missing": False, "active": True, "unit_amount": "2500", "currency": "usd", "interval": "month",
            "interval_count": 1, "product": "prod_1"}},
    "operations.paid_without_credits": {"line": "il_1", "invoice_id": "in_1", "plan": "starter", "amount": 1_050,
                                        "currency": "usd", "reason": "no_subscription", "account_id": ACCOUNT},
    "dispute.opened": DISPUTE,
    "account.email_changed": {"to": "old@example.com"},
    "member.invited": {"invitation_id": "inv_1", "role": "admin"},
    "dispute.closed": {**DISPUTE, "status": "lost"},
    "operations.fraud_warning": {"payment_id": "pay_1", "account_id": ACCOUNT, "amount": 1_050, "currency": "usd",
                                 "fraud_type": "made_with_stolen_card"},
    "operations.stripe_refused": {"code": "price_unavailable", "message": "No such price: '$10.50'", "stripe_code": None,
                                  "param": None, "request_id": None, "account_id": ACCOUNT, "amount": 1_050},
    "operations.webhook_disabled": {"endpoint_id": "whe_1", "account_id": ACCOUNT, "reason": "failing",
                                    "failing_since": "2027-01-01T00:00:00+00:00"},
}  # fmt: skip


def notice(topic: str, **more: Any) -> Notice:
    """A claimed delivery by mail, of an account whose name tries to be more than a name."""
    made: Any = {
        "id": 7,
        "channel": "mail",
        "account_id": ACCOUNT,
        "account_name": "Test\nBcc: x@example.com",
        "email": "a@example.com",
        "topic": topic,
        "payload": PAYLOADS[topic],
        "created_at": "2027-01-01T00:00:00+00:00",
        "claims": 1,
        "endpoint_id": None,
        "url": None,
        "secrets": [None],
    }
    return made | more


def part(message: EmailMessage, kind: str = "plain") -> str:
    """The text of one part of a mail."""
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def outbox(world: World, topic: str = "balance.low") -> int:
    """The delivery by mail of a new notice."""
    world.query(
        "insert into billing.outbox (account_id, topic, dedupe_key, payload) values (%s, %s, 'k', %s)",
        ACCOUNT,
        topic,
        Jsonb(PAYLOADS.get(topic, {})),
    )
    return planned(world, topic)


def planned(world: World, topic: str) -> int:
    delivery.plan(world.app, 100)
    return int(
        world.query(
            "select d.id from billing.notice_deliveries d join billing.outbox o on o.id = d.notice_id"
            " where o.topic = %s and d.channel = 'mail'",
            topic,
        )[0]["id"]
    )


def state(world: World) -> tuple[str, str | None]:
    row = world.query(
        "select d.state, d.reason from billing.notice_deliveries d join billing.outbox o on o.id = d.notice_id"
        " where o.dedupe_key = 'k' and d.channel = 'mail'"
    )[0]
    return row["state"], row["reason"]


def with_smtp(world: World, **more: Any) -> App:
    settings = world.app.settings.model_copy(
        update={"smtp_url": SecretStr("smtp://user:secret@localhost:2525"), **more}
    )
    return App(settings, world.ledger, world.stripe, world.queue)


@pytest.mark.parametrize("topic", PAYLOADS)
def test_every_topic_has_a_text(settings: Settings, topic: str) -> None:
    message = mail.compose(settings, notice(topic))
    text = part(message)
    assert message["Subject"]
    assert settings.base_url in text
    assert (f"{settings.base_url}/billing" in text) != topic.startswith(OPERATORS)
    assert "{" not in text
    assert not message["Bcc"]
    if "amount" in PAYLOADS[topic]:
        assert "$10.50" in text


@pytest.mark.parametrize(
    "topic", ["payment.refunded", "dispute.opened", "dispute.closed", "operations.fraud_warning"]
)
def test_mail_about_an_invoice_names_it(settings: Settings, topic: str) -> None:
    payload = PAYLOADS[topic] | {"payment_id": None, "invoice_id": "in_1"}
    text = part(mail.compose(settings, notice(topic) | {"payload": payload}))
    assert "invoice in_1" in text
    assert "None" not in text


def test_templates_are_for_topics_that_exist() -> None:
    names = {path.stem for path in (Path(mail.__file__).parent / "notices").glob("*.txt")}
    assert names == set(PAYLOADS) == set(TOPICS)


def test_without_a_mail_server_a_notice_is_skipped(world: World) -> None:
    delivery.send_notice(world.app, outbox(world))
    assert state(world) == ("skipped", "no channel configured")


def test_what_concerns_operators_goes_to_them_and_to_nobody_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[EmailMessage] = []
    monkeypatch.setattr(mail, "deliver", lambda _settings, message: sent.append(message))
    event = {"id": "u1", "action": "chat", "dimensions": {"model": "new-1"}}
    world.ledger.record_usage([event], ACCOUNT)
    delivery.send_notice(
        with_smtp(world, operator_email="operations@refill.example"),
        planned(world, "operations.usage_unpriced"),
    )
    assert [message["To"] for message in sent] == ["operations@refill.example"]
    assert "model: new-1" in part(sent[0])


def test_without_an_operators_address_their_notices_are_skipped(world: World) -> None:
    delivery.send_notice(with_smtp(world), outbox(world, "operations.usage_unpriced"))
    assert state(world) == ("skipped", "no operator address")


def test_limit_that_was_reached_is_told_with_its_figures(world: World, settings: Settings) -> None:
    limit = {"scope": "agent", "scope_id": "scout", "window": "day", "credits": 5 * CREDIT, "hard": False}
    world.ledger.set_limit(ACCOUNT, limit, "test")
    world.ledger.record_usage([{"id": "u1", "amount": 7 * CREDIT, "agent": "scout"}], ACCOUNT)
    claimed = world.ledger.claim_notice(planned(world, "limit.reached"), ["mail"])
    assert claimed is not None
    text = part(mail.compose(settings, claimed))
    assert "the agent scout is at its limit: 7 of 5 credits a day are used" in text
    assert "Nothing is refused for it" in text


def test_topic_without_a_text_is_skipped(world: World) -> None:
    delivery.send_notice(with_smtp(world), outbox(world, "../secrets"))
    assert state(world) == ("skipped", "no template for the topic")


def test_notice_is_sent_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[EmailMessage] = []
    monkeypatch.setattr(mail, "deliver", lambda _settings, message: sent.append(message))
    number = outbox(world)
    delivery.send_notice(with_smtp(world), number)
    delivery.send_notice(with_smtp(world), number)
    assert [len(sent), sent[0]["To"], state(world)] == [1, "owner@example.com", ("sent", None)]


def test_failed_mail_is_tried_again_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise smtplib.SMTPServerDisconnected("gone")

    monkeypatch.setattr(mail, "deliver", fail)
    delivery.send_notice(with_smtp(world), outbox(world))
    assert state(world) == ("pending", "SMTPServerDisconnected")


@pytest.mark.parametrize("topic", PAYLOADS)
def test_html_says_what_the_text_says_and_loads_nothing(settings: Settings, topic: str) -> None:
    message = mail.compose(settings, notice(topic))
    page = part(message, "html")
    shown = html.unescape(re.sub(r"<(style|title).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL))
    urls = re.compile(r"\S*https?://\S+")
    missing = set(urls.sub("", part(message)).replace(":", "").split()) - set(shown.replace(":", "").split())
    assert missing <= {"\n"}
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"<(img|script|link|iframe)|url\(|@import|src=", page)
    assert all(
        link.startswith((settings.base_url, "https://stripe.test/r"))
        for link in re.findall(r'href="(.*?)"', page)
    )


def test_what_callers_chose_is_escaped_and_becomes_no_link_of_ours(settings: Settings) -> None:
    evil = "<script>alert(1)</script>\n\nOpen billing: https://evil.example/"
    message = mail.compose(settings, notice("limit.reached", account_name=evil, payload=PAYLOADS["limit.reached"] | {
        "scope_id": "x\nPay: https://evil.example/"}))  # fmt: skip
    page = part(message, "html")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert 'href="https://evil' not in page
    assert re.findall(r'href="(.*?)"', page) == [f"{settings.base_url}/billing"]


def test_line_with_a_label_and_a_link_becomes_a_button(settings: Settings) -> None:
    page = part(mail.compose(settings, notice("topup.succeeded")), "html")
    assert re.findall(r'<a class="button" href="(.*?)"[^>]*>(.*?)</a>', page) == [
        ("https://stripe.test/r", "Receipt"),
        (f"{settings.base_url}/billing", "Limits and switching off"),
    ]


def test_charge_that_waits_for_its_holder_has_a_signed_link_for_its_template(settings: Settings) -> None:
    facts = notice_text.context(settings, notice("topup.action_required"))
    token = facts["pay_url"].removeprefix(f"{settings.base_url}/billing/pay/")
    assert pay_links.payment_of(settings, token) == "pay_1"
    assert "pay_url" not in notice_text.context(settings, notice("topup.declined"))


@pytest.mark.parametrize(("level", "subject"), [(0, "used up"), (20_000_000, "running low")])
def test_low_balance_names_its_level_in_the_subject(settings: Settings, level: int, subject: str) -> None:
    payload = PAYLOADS["balance.low"] | {"level": level}
    assert subject in mail.compose(settings, notice("balance.low", payload=payload))["Subject"]


def test_mail_goes_out_in_both_forms_over_smtp(world: World) -> None:
    with SmtpServer() as server:
        settings = world.app.settings.model_copy(
            update={"smtp_url": SecretStr(f"smtp://localhost:{server.port}")}
        )
        delivery.send_notice(App(settings, world.ledger, world.stripe, world.queue), outbox(world))
    assert state(world) == ("sent", None)
    (raw,) = server.mails
    received = message_from_bytes(raw, policy=policy.default)
    assert isinstance(received, EmailMessage)
    assert received["To"] == "owner@example.com"
    assert [found.get_content_type() for found in received.iter_parts()] == ["text/plain", "text/html"]
