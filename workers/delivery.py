"""Deliveries of notices: each is claimed, sent by its channel, and finished; a crash between sends it once more."""

from __future__ import annotations

import logging
import smtplib

import jinja2

from shared.notice_models import Notice
from shared.notices import ACCOUNT_TOPICS, SLACK_TOPICS
from shared.settings import Settings
from workers import mail, notice_text, slack, webhooks
from workers.app import App
from workers.outgoing import Undelivered
from workers.webhooks import GoneError

log = logging.getLogger(__name__)

CHANNELS = ["mail", "slack", "webhook"]


def plan(app: App, limit: int) -> int:
    """Makes the deliveries of new notices; answers of how many."""
    slack_topics = [] if app.settings.slack_webhook_url is None else SLACK_TOPICS
    return app.ledger.plan_notices(limit, slack_topics, ACCOUNT_TOPICS)


def send_notice(app: App, delivery_id: int) -> None:
    """Sends one delivery by its channel. Skipped when there is nobody to tell; after a failure it is tried again later."""
    notice = app.ledger.claim_notice(delivery_id, CHANNELS)
    if notice is None:
        return
    obstacle = _obstacle(app.settings, notice)
    if obstacle is not None:
        app.ledger.finish_notice(delivery_id, "skipped", obstacle)
        return
    try:
        _send(app.settings, notice)
    except GoneError:
        app.ledger.finish_notice(delivery_id, "gone", "http_410")
    except Undelivered as error:
        log.warning("notice not sent", extra=_facts(delivery_id, notice) | {"reason": error.reason})
        app.ledger.finish_notice(delivery_id, "pending", error.reason)
    except (OSError, smtplib.SMTPException, jinja2.TemplateError, ValueError, KeyError) as error:
        log.exception("notice not sent", extra=_facts(delivery_id, notice))
        app.ledger.finish_notice(delivery_id, "pending", type(error).__name__)
    else:
        app.ledger.finish_notice(delivery_id, "sent", None)


def _send(settings: Settings, notice: Notice) -> None:
    if notice["channel"] == "webhook":
        webhooks.send(settings, notice)
    elif notice["channel"] == "slack":
        slack.send(settings, notice)
    else:
        mail.send(settings, notice)


def _obstacle(settings: Settings, notice: Notice) -> str | None:
    """Why there is nobody to tell by the notice's channel, or None."""
    if notice["channel"] == "webhook":
        return None
    found = slack.obstacle(settings) if notice["channel"] == "slack" else mail.obstacle(settings, notice)
    return found or (None if notice_text.exists(notice["topic"]) else "no template for the topic")


def _facts(delivery_id: int, notice: Notice) -> dict[str, object]:
    return {
        "delivery": delivery_id,
        "topic": notice["topic"],
        "channel": notice["channel"],
        "endpoint": notice["endpoint_id"],
    }
