"""Notices of the outbox as plain-text mail: a template a topic in notices/, its first line the subject."""

from __future__ import annotations

import logging
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jinja2

from shared import credits as credit_units
from shared import money
from shared.settings import Settings
from workers.app import App

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 15
# Topics for whoever runs Refill, not for the account.
OPERATORS = "operations."


def send_notice(app: App, notice_id: int) -> None:
    """Mails one notice, to the account or to the operators. Skipped without a mail server or an address.

    After a failure it is tried again later.
    """
    notice = app.ledger.claim_notice(notice_id)
    if notice is None:
        return
    obstacle = _obstacle(app.settings, notice)
    if obstacle is not None:
        app.ledger.finish_notice(notice_id, "skipped", obstacle)
        return
    try:
        deliver(app.settings, compose(app.settings, notice))
    except (OSError, smtplib.SMTPException, jinja2.TemplateError, ValueError) as error:
        log.exception("notice not sent", extra={"notice": notice_id, "topic": notice["topic"]})
        app.ledger.finish_notice(notice_id, "pending", type(error).__name__)
        return
    app.ledger.finish_notice(notice_id, "sent", None)


def compose(settings: Settings, notice: dict[str, Any]) -> EmailMessage:
    """The mail of a claimed notice. Its Message-ID names the notice, so that a repeat can be recognised."""
    text = (
        _templates()
        .get_template(f"{notice['topic']}.txt")
        .render(notice["payload"] or {}, account_name=notice["account_name"], base_url=settings.base_url)
    )
    subject, _, body = text.partition("\n")
    message = EmailMessage()
    message["Subject"] = subject.strip()
    message["From"] = settings.mail_from
    message["To"] = _address(settings, notice)
    domain = parseaddr(settings.mail_from)[1].rpartition("@")[2] or "localhost"
    message["Message-ID"] = f"<notice-{notice['id']}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body.strip() + "\n")
    return message


def deliver(settings: Settings, message: EmailMessage) -> None:
    """Hands a mail to the server of SMTP_URL: smtp://user:password@host:587 or smtps://host:465."""
    assert settings.smtp_url is not None  # noqa: S101  # the caller skips without
    url = urlsplit(settings.smtp_url.get_secret_value())
    host, secure = url.hostname or "localhost", ssl.create_default_context()
    server: smtplib.SMTP
    if url.scheme == "smtps":
        server = smtplib.SMTP_SSL(host, url.port or 465, timeout=TIMEOUT_SECONDS, context=secure)
    else:
        server = smtplib.SMTP(host, url.port or 25, timeout=TIMEOUT_SECONDS)
    with server:
        server.ehlo()
        if url.scheme == "smtp" and server.has_extn("starttls"):
            server.starttls(context=secure)
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(message)


def _obstacle(settings: Settings, notice: dict[str, Any]) -> str | None:
    if settings.smtp_url is None:
        return "no channel configured"
    if not _address(settings, notice):
        return "no operator address" if _is_for_operators(notice) else "the account has no address"
    if not (Path(__file__).parent / "notices" / f"{notice['topic']}.txt").is_file():
        return "no template for the topic"
    return None


def _is_for_operators(notice: dict[str, Any]) -> bool:
    return bool(notice["topic"].startswith(OPERATORS))


def _address(settings: Settings, notice: dict[str, Any]) -> str | None:
    return settings.operator_email if _is_for_operators(notice) else notice["email"]


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "notices"),
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  # plain text
    )
    environment.filters["credits"] = credit_units.to_text
    environment.filters["money"] = money.to_text
    return environment
