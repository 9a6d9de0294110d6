"""Notices: every topic has a text, and a mail that cannot be sent is tried again."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from shared.settings import Settings
from tests.workers.world import ACCOUNT, CREDIT, World
from workers import mail
from workers.app import App

TOPUP = {"credits": 100_500_000, "amount": 1050, "currency": "usd"}
DISPUTE = {
    "payment_id": "pay_1",
    "amount": 1_050,
    "currency": "usd",
    "status": "needs_response",
    "reason": "fraudulent",
}
PAYLOADS: dict[str, dict[str, Any]] = {
    "topup.succeeded": {**TOPUP, "receipt_url": "https://stripe.test/r"},
    "topup.declined": TOPUP,
    "topup.paused": {"reason": "card_declined"},
    "topup.action_required": TOPUP,
    "topup.capped": {"cap": "cap_day", "until": "2027-01-01T00:00:00+00:00"},
    "balance.low": {"available": 9_500_000},
    "payment.parked": {"payment_id": "pay_1"},
    "card.expiring": {"brand": "visa", "last4": "4242", "exp_month": 1, "exp_year": 2027, "auto_topup": True},
    "limit.reached": {"scope": "agent", "scope_id": "scout", "window": "day", "credits": 50_000_000,
                      "used": 50_250_000, "hard": True, "resets_at": "2027-01-01T00:00:00+00:00"},
    "operations.usage_unpriced": {"code": "unknown_model", "action": "chat", "model": "new-1", "events": 3,
                                  "account_id": ACCOUNT},
    "payment.refunded": {"payment_id": "pay_1", "credits": 40_000_000, "amount": 1_050, "currency": "usd"},
    "subscription.credits_granted": {"credits": 500_000_000, "plan": "Starter", "amount": 1_050, "currency": "usd",
                                     "period_end": "2027-01-01T00:00:00+00:00", "credits_expire": True},
    "dispute.opened": DISPUTE,
    "dispute.closed": {**DISPUTE, "status": "lost"},
    "operations.fraud_warning": {"payment_id": "pay_1", "account_id": ACCOUNT, "amount": 1_050, "currency": "usd",
                                 "fraud_type": "made_with_stolen_card"},
}  # fmt: skip


def notice(topic: str) -> dict[str, Any]:
    return {
        "id": 7,
        "account_name": "Test\nBcc: x@example.com",
        "email": "a@example.com",
        "topic": topic,
        "payload": PAYLOADS[topic],
    }


def outbox(world: World, topic: str = "balance.low") -> int:
    return int(
        world.query(
            "insert into billing.outbox (account_id, topic, dedupe_key, payload)"
            " values (%s, %s, 'k', '{\"available\": 1000000}') returning id",
            ACCOUNT,
            topic,
        )[0]["id"]
    )


def state(world: World) -> tuple[str, str | None]:
    row = world.query("select state, reason from billing.outbox where dedupe_key = 'k'")[0]
    return row["state"], row["reason"]


def with_smtp(world: World, **more: Any) -> App:
    settings = world.app.settings.model_copy(
        update={"smtp_url": SecretStr("smtp://user:secret@localhost:2525"), **more}
    )
    return App(settings, world.ledger, world.stripe, world.queue)


@pytest.mark.parametrize("topic", PAYLOADS)
def test_every_topic_has_a_text(settings: Settings, topic: str) -> None:
    message = mail.compose(settings, notice(topic))
    text = message.get_content()
    assert message["Subject"]
    assert settings.base_url in text
    assert (f"{settings.base_url}/billing" in text) != topic.startswith(mail.OPERATORS)
    assert "{" not in text
    assert not message["Bcc"]
    if "amount" in PAYLOADS[topic]:
        assert "$10.50" in text


def test_templates_are_for_topics_that_exist() -> None:
    names = {path.stem for path in (Path(mail.__file__).parent / "notices").glob("*.txt")}
    assert names == set(PAYLOADS)


def test_without_a_mail_server_a_notice_is_skipped(world: World) -> None:
    mail.send_notice(world.app, outbox(world))
    assert state(world) == ("skipped", "no channel configured")


def test_what_concerns_operators_goes_to_them_and_to_nobody_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[EmailMessage] = []
    monkeypatch.setattr(mail, "deliver", lambda _settings, message: sent.append(message))
    event = {"id": "u1", "action": "chat", "dimensions": {"model": "new-1"}}
    world.ledger.record_usage([event], ACCOUNT)
    mail.send_notice(
        with_smtp(world, operator_email="operations@refill.example"),
        world.notices("operations.usage_unpriced")[0]["id"],
    )
    assert [message["To"] for message in sent] == ["operations@refill.example"]
    assert "model: new-1" in sent[0].get_content()


def test_without_an_operators_address_their_notices_are_skipped(world: World) -> None:
    mail.send_notice(with_smtp(world), outbox(world, "operations.usage_unpriced"))
    assert state(world) == ("skipped", "no operator address")


def test_limit_that_was_reached_is_told_with_its_figures(world: World, settings: Settings) -> None:
    limit = {"scope": "agent", "scope_id": "scout", "window": "day", "credits": 5 * CREDIT, "hard": False}
    world.ledger.set_limit(ACCOUNT, limit, "test")
    world.ledger.record_usage([{"id": "u1", "amount": 7 * CREDIT, "agent": "scout"}], ACCOUNT)
    (row,) = world.notices("limit.reached")
    claimed = world.ledger.claim_notice(row["id"])
    assert claimed is not None
    text = mail.compose(settings, claimed).get_content()
    assert "the agent scout is at its limit: 7 of 5 credits a day are used" in text
    assert "Nothing is refused for it" in text


def test_topic_without_a_text_is_skipped(world: World) -> None:
    mail.send_notice(with_smtp(world), outbox(world, "../secrets"))
    assert state(world) == ("skipped", "no template for the topic")


def test_notice_is_sent_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[EmailMessage] = []
    monkeypatch.setattr(mail, "deliver", lambda _settings, message: sent.append(message))
    number = outbox(world)
    mail.send_notice(with_smtp(world), number)
    mail.send_notice(with_smtp(world), number)
    assert [len(sent), sent[0]["To"], state(world)] == [1, "owner@example.com", ("sent", None)]


def test_failed_mail_is_tried_again_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise smtplib.SMTPServerDisconnected("gone")

    monkeypatch.setattr(mail, "deliver", fail)
    mail.send_notice(with_smtp(world), outbox(world))
    assert state(world) == ("pending", "SMTPServerDisconnected")
