"""The rows of notices that the SQL functions answer, as Python sees them; see shared.models."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class Notice(TypedDict):
    """claim_notice: what one delivery needs. `id` is the notice's; url, endpoint_id and secrets are of webhooks."""

    id: int
    channel: Literal["mail", "slack", "webhook"]
    account_id: str | None
    account_name: str | None
    email: str | None
    topic: str
    payload: dict[str, Any] | None
    created_at: str
    claims: int
    endpoint_id: str | None
    url: str | None
    secrets: list[str | None]


class Delivery(TypedDict):
    """list_notices, list_webhook_deliveries, test_webhook_endpoint."""

    id: int
    notice_id: int
    account_id: str | None
    topic: str
    channel: str
    endpoint_id: str | None
    state: str
    reason: str | None
    attempts: int
    created_at: str
    sent_at: str | None
    next_attempt_at: str | None


class WebhookEndpoint(TypedDict):
    """Where webhooks go, without the secret. account_id null: notices of all accounts; topics null: all topics."""

    id: str
    account_id: str | None
    url: str
    topics: list[str] | None
    enabled: bool
    disabled_reason: str | None
    failing_since: str | None
    created_at: str
    is_new: NotRequired[bool]
    """create_webhook_endpoint: the secret is the one that was given."""


class LowLevels(TypedDict):
    """get_low_levels, set_low_levels."""

    account_id: str
    levels: list[int]
