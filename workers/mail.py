"""Notices by mail: plain text, and the same in HTML. No picture, no script, nothing that is loaded from elsewhere."""

from __future__ import annotations

import functools
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import parseaddr
from urllib.parse import unquote, urlsplit

import jinja2

from shared.notice_models import Notice
from shared.notices import OPERATORS, TOPICS
from shared.settings import Settings
from workers import notice_text

TIMEOUT_SECONDS = 15


def obstacle(settings: Settings, notice: Notice) -> str | None:
    """Why nobody can be mailed, or None."""
    if settings.smtp_url is None:
        return "no channel configured"
    if not _address(settings, notice):
        if _is_for_operators(notice):
            return "no operator address"
        return "nobody is told any more" if _is_personal(notice) else "the account has no address"
    return None


def send(settings: Settings, notice: Notice) -> None:
    """Mails a claimed notice to whom it is for. Raises OSError, smtplib.SMTPException, ValueError."""
    deliver(settings, compose(settings, notice))


def compose(settings: Settings, notice: Notice) -> EmailMessage:
    """The mail of a claimed notice. Its Message-ID names the notice, so that a repeat can be recognised."""
    text = notice_text.render(settings, notice)
    message = EmailMessage()
    message["Subject"] = text.subject
    message["From"] = settings.mail_from
    message["To"] = _address(settings, notice)
    domain = parseaddr(settings.mail_from)[1].rpartition("@")[2] or "localhost"
    message["Message-ID"] = f"<notice-{notice['id']}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text.body)
    html = _layout().render(subject=text.subject, blocks=text.blocks, base_url=settings.base_url)
    message.add_alternative(html, subtype="html")
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


def _is_for_operators(notice: Notice) -> bool:
    return notice["topic"].startswith(OPERATORS)


def _is_personal(notice: Notice) -> bool:
    return notice["topic"] in TOPICS and TOPICS[notice["topic"]].personal


def _address(settings: Settings, notice: Notice) -> str | None:
    return settings.operator_email if _is_for_operators(notice) else notice["email"]


@functools.cache
def _layout() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(notice_text.TEMPLATES), autoescape=True, trim_blocks=True
    )
    return environment.get_template("layout.html")
