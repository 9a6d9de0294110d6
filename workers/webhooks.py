"""Notices as signed webhooks, by the Standard Webhooks specification (standardwebhooks.com)."""

from __future__ import annotations

import datetime as dt
import json
from http import HTTPStatus
from typing import Any

from standardwebhooks import Webhook

from shared import keys, pay_links
from shared.notice_models import Notice
from shared.notices import public_payload
from shared.settings import Settings
from workers import outgoing
from workers.notice_text import ACTION_REQUIRED
from workers.outgoing import Undelivered


class GoneError(Exception):
    """The endpoint answered 410: it wants nothing any more."""


def send(settings: Settings, notice: Notice) -> None:
    """Posts a claimed notice to its endpoint, signed; any 2xx is success. Raises GoneError, Undelivered."""
    content = json.dumps(event(settings, notice), ensure_ascii=False)
    status = outgoing.post(
        str(notice["url"]),
        content.encode(),
        sign(notice, content, dt.datetime.now(dt.UTC)),
        public_only=settings.environment == "production",
    )
    if status == HTTPStatus.GONE:
        raise GoneError
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise Undelivered(f"http_{status}")


def event(settings: Settings, notice: Notice) -> dict[str, Any]:
    """The body: what happened, when, and to which account. Only the fields that shared.notices names leave."""
    payload = notice["payload"] or {}
    data = {"account_id": notice["account_id"], **public_payload(notice["topic"], payload)}
    if notice["topic"].endswith(ACTION_REQUIRED):
        data["pay_url"] = pay_links.pay_url(settings, payload["payment_id"])
    return {"type": notice["topic"], "timestamp": notice["created_at"], "data": data}


def sign(notice: Notice, content: str, at: dt.datetime) -> dict[str, str]:
    """The three headers; while a secret is rolled both sign."""
    message = keys.webhook_id(notice["id"])
    signatures = (Webhook(secret).sign(message, at, content) for secret in notice["secrets"] if secret)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
        "User-Agent": "Refill-Webhooks",
    }
