"""Notices for operators in a Slack channel, through an incoming webhook.

See docs.slack.dev/messaging/sending-messages-using-incoming-webhooks.
"""

from __future__ import annotations

import json
from typing import Any, Final

from shared.notice_models import Notice
from shared.settings import Settings
from workers import notice_text, outgoing
from workers.outgoing import Undelivered

# Slack's bounds of a header's and of a section's text.
HEADER_MAX: Final = 150
SECTION_MAX: Final = 3_000


def obstacle(settings: Settings) -> str | None:
    """Why Slack cannot be told, or None."""
    return "no channel configured" if settings.slack_webhook_url is None else None


def send(settings: Settings, notice: Notice) -> None:
    """Posts a claimed notice; raises Undelivered."""
    assert settings.slack_webhook_url is not None  # noqa: S101  # the caller skips without
    content = json.dumps(compose(settings, notice)).encode()
    status = outgoing.post(settings.slack_webhook_url.get_secret_value(), content, {}, public_only=False)
    if not 200 <= status < 300:  # noqa: PLR2004
        raise Undelivered(f"http_{status}")


def compose(settings: Settings, notice: Notice) -> dict[str, Any]:
    """The message: blocks, and a text for what cannot show them. The greeting of the account's mail is left out."""
    text = notice_text.render(settings, notice)
    said = [block for block in text.blocks if not (isinstance(block, str) and block.startswith("Hello "))]
    lines = "\n\n".join(
        escape(block)
        if isinstance(block, str)
        else f"<{escape(block.url)}|{escape(block.label).replace('|', '/')}>"
        for block in said
    )
    about = " ".join(
        filter(None, (notice["account_id"], f"({name})" if (name := notice["account_name"]) else None))
    )
    return {
        "text": escape(f"{text.subject}: {about}" if about else text.subject),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": text.subject[:HEADER_MAX]}},
            {"type": "section", "text": {"type": "mrkdwn", "text": lines[:SECTION_MAX]}},
            {
                "type": "context",
                "elements": [{"type": "mrkdwn", "text": escape(f"{notice['topic']} {about}")}],
            },
        ],
    }


def escape(text: str) -> str:
    """The three characters that Slack's markup is made of (docs.slack.dev/messaging/formatting-message-text)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
