"""Notices, their deliveries, endpoints of webhooks and preferences. One wrapper per SQL function; see shared.ledger."""

from __future__ import annotations

from typing import Any

from shared.db import Json
from shared.ledger.calls import Calls, Page
from shared.notice_models import Delivery, LowLevels, Notice, WebhookEndpoint


class NoticeCalls(Calls):
    """Notices, their deliveries, endpoints of webhooks and preferences.

    Of endpoints `account_id` says who asks: None acts for every account, an account only for its own (else Refused
    not_found).
    """

    # Deliveries

    def plan_notices(self, limit: int, slack: list[str], webhook: list[str]) -> int:
        """Makes the deliveries of up to `limit` new notices; these topics go to Slack, those to webhooks."""
        return self._call("plan_notices", p_limit=limit, p_slack=slack, p_webhook=webhook)

    def claim_notice(self, delivery_id: int, channels: list[str]) -> Notice | None:
        """Leases a delivery; None when it is finished, leased or not due, or its endpoint is gone or off."""
        return self._call("claim_notice", p_id=delivery_id, p_channels=channels)

    def finish_notice(self, delivery_id: int, state: str, reason: str | None) -> None:
        """sent, skipped (nobody to tell), gone (the endpoint said 410), or pending: failed, again after a wait."""
        self._call("finish_notice", p_id=delivery_id, p_state=state, p_reason=reason)

    def list_notices(self, state: str | None, limit: int) -> list[Delivery]:
        """The newest deliveries, of one state if given."""
        return self._call("list_notices", p_state=state, p_limit=limit)

    def replay_notices(self, delivery_id: int | None, actor: str) -> list[int]:
        """Makes one delivery due again, or up to 1,000 that failed (None); their ids. Refused not_found."""
        return self._call("replay_notices", p_id=delivery_id, p_actor=actor)

    # Endpoints of webhooks

    def create_webhook_endpoint(
        self,
        endpoint_id: str,
        account_id: str | None,
        url: str,
        topics: list[str] | None,
        secret: str,
        actor: str,
    ) -> WebhookEndpoint:
        """Registers an endpoint, once per id; Refused unknown_account, idempotency_conflict, state_conflict (20)."""
        return self._call(
            "create_webhook_endpoint",
            p_id=endpoint_id,
            p_account_id=account_id,
            p_url=url,
            p_topics=topics,
            p_secret=secret,
            p_actor=actor,
        )

    def list_webhook_endpoints(self, account_id: str | None) -> list[WebhookEndpoint]:
        """An account's endpoints, or all of them; Refused unknown_account."""
        return self._call("list_webhook_endpoints", p_account_id=account_id)

    def delete_webhook_endpoint(
        self, endpoint_id: str, account_id: str | None, actor: str
    ) -> WebhookEndpoint:
        """Deletes an endpoint; what waits for it is skipped."""
        return self._call("delete_webhook_endpoint", p_id=endpoint_id, p_account_id=account_id, p_actor=actor)

    def enable_webhook_endpoint(
        self, endpoint_id: str, account_id: str | None, actor: str
    ) -> WebhookEndpoint:
        """Switches an endpoint on that was switched off for its failures."""
        return self._call("enable_webhook_endpoint", p_id=endpoint_id, p_account_id=account_id, p_actor=actor)

    def roll_webhook_secret(
        self, endpoint_id: str, account_id: str | None, secret: str, actor: str
    ) -> WebhookEndpoint:
        """A new secret; the one before signs beside it for 24 hours."""
        return self._call(
            "roll_webhook_secret", p_id=endpoint_id, p_account_id=account_id, p_secret=secret, p_actor=actor
        )

    def test_webhook_endpoint(self, endpoint_id: str, account_id: str | None, test_id: str) -> Delivery:
        """A notice webhook.test for this endpoint; Refused state_conflict while it is off."""
        return self._call(
            "test_webhook_endpoint", p_id=endpoint_id, p_account_id=account_id, p_test_id=test_id
        )

    def list_webhook_deliveries(
        self, endpoint_id: str, account_id: str | None, limit: int, cursor: str | None
    ) -> Page:
        """What was sent to an endpoint, or is to be, newest first."""
        return self._call(
            "list_webhook_deliveries",
            p_id=endpoint_id,
            p_account_id=account_id,
            p_limit=limit,
            p_cursor=cursor,
        )

    def replay_webhooks(
        self, endpoint_id: str, account_id: str | None, since: str, topics: list[str], actor: str
    ) -> int:
        """Makes due what never reached the endpoint since then; how many. Refused invalid_value, state_conflict."""
        return self._call(
            "replay_webhooks",
            p_id=endpoint_id,
            p_account_id=account_id,
            p_since=since,
            p_topics=topics,
            p_actor=actor,
        )

    # What an account is told

    def get_notice_preferences(self, account_id: str) -> list[dict[str, Any]]:
        """What the account switched off or on: topic, channel, enabled."""
        return self._call("get_notice_preferences", p_account_id=account_id)

    def set_notice_preference(
        self, account_id: str, topic: str, channel: str, enabled: bool, actor: str
    ) -> list[dict[str, Any]]:
        """Switches a topic on or off for an account; shared.notices says which may be."""
        return self._call(
            "set_notice_preference",
            p_account_id=account_id,
            p_topic=topic,
            p_channel=channel,
            p_enabled=enabled,
            p_actor=actor,
        )

    def get_low_levels(self, account_id: str) -> LowLevels:
        """At which balances the account is told that they are low."""
        return self._call("get_low_levels", p_account_id=account_id)

    def set_low_levels(self, account_id: str, levels: list[int], actor: str) -> LowLevels:
        """Sets them: up to five, none for never; levels that are reached already are not announced."""
        return self._call("set_low_levels", p_account_id=account_id, p_levels=Json(levels), p_actor=actor)
