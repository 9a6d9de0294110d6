"""What an account is told: which mails it gets, and at which balances."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from shared import notices
from shared.errors import Refused
from shared.ledger import Ledger
from web.api.queries import AccountQuery, Page, account_of
from web.endpoints import Call, Endpoint
from web.fields import Answer, Body, CreditsIn, CreditsOut, Text

LEVELS_MAX = 5


def _known(topic: str) -> str:
    if topic not in notices.ACCOUNT_TOPICS:
        raise ValueError("not a topic of accounts")
    return topic


class NoticePreference(Body):
    """Switches a topic's mail on or off."""

    account_id: Text | None = None
    topic: Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": notices.ACCOUNT_TOPICS})]
    channel: Literal["mail"] = "mail"
    enabled: bool


class TopicOut(Answer):
    """A topic, and whether the account is told of it."""

    topic: str
    channel: Literal["mail"]
    description: str
    enabled: bool
    default: bool
    required: Annotated[bool, Field(description="It cannot be switched off.")]


class NoticePreferences(Page):
    """Every topic."""

    data: list[TopicOut]


class LowLevels(Body):
    """At which balances the account is told that its credits are low; none: never."""

    account_id: Text | None = None
    levels: Annotated[list[CreditsIn], Field(max_length=LEVELS_MAX, examples=[["100", "20", "0"]])]


class LowLevelsOut(Answer):
    """The levels, the highest first."""

    account_id: str
    levels: list[CreditsOut]


@Endpoint(
    "GET",
    "/api/billing/notice-preferences",
    summary="Which mails the account gets",
    tag="notices",
    scope="read",
    member_role="member",
    query=AccountQuery,
    answer=NoticePreferences,
    errors=("unknown_account", "account_required"),
)
def preferences(call: Call) -> Any:
    """Every topic with what it is, its default, and whether it may be switched off. Webhooks choose topics of their own."""
    return _preferences(call.services.ledger.get_notice_preferences(account_of(call)))


@Endpoint(
    "PUT",
    "/api/billing/notice-preferences",
    summary="Switch a mail on or off",
    tag="notices",
    scope="admin",
    member_role="admin",
    body=NoticePreference,
    example={"account_id": "acme", "topic": "topup.succeeded", "enabled": False},
    answer=NoticePreferences,
    errors=("unknown_account", "account_required", "invalid_value"),
)
def prefer(call: Call) -> Any:
    """Mails without which nothing goes on cannot be switched off."""
    body: NoticePreference = call.body
    account_id = call.account_id(body.account_id)
    return _preferences(choose(call.services.ledger, account_id, body, call.actor))


@Endpoint(
    "GET",
    "/api/credits/low-balance-levels",
    summary="When a balance is low",
    tag="notices",
    scope="read",
    member_role="member",
    query=AccountQuery,
    answer=LowLevelsOut,
    errors=("unknown_account", "account_required"),
)
def levels(call: Call) -> Any:
    """At which balances the account is told."""
    return call.services.ledger.get_low_levels(account_of(call))


@Endpoint(
    "PUT",
    "/api/credits/low-balance-levels",
    summary="Set when a balance is low",
    tag="notices",
    scope="admin",
    member_role="admin",
    body=LowLevels,
    example={"account_id": "acme", "levels": ["100", "20", "0"]},
    answer=LowLevelsOut,
    errors=("unknown_account", "account_required", "invalid_value"),
)
def set_levels(call: Call) -> Any:
    """Each is told once on the way down; credits re-arm those below the new balance. Levels reached already stay untold."""
    body: LowLevels = call.body
    return call.services.ledger.set_low_levels(call.account_id(body.account_id), body.levels, call.actor)


def choose(ledger: Ledger, account_id: str, wish: NoticePreference, actor: str) -> list[dict[str, Any]]:
    """Switches a mail on or off; Refused invalid_value for one that must stay on."""
    if notices.TOPICS[wish.topic].required and not wish.enabled:
        raise Refused("This mail cannot be switched off: without it nothing goes on.", code="invalid_value")
    return ledger.set_notice_preference(account_id, wish.topic, wish.channel, wish.enabled, actor)


def topics(chosen: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every topic of accounts as TopicOut, after what get_notice_preferences answers."""
    enabled = {row["topic"]: row["enabled"] for row in chosen}
    return [
        {
            "topic": name,
            "channel": "mail",
            "description": notices.TOPICS[name].description,
            "enabled": enabled.get(name, True),
            "default": True,
            "required": notices.TOPICS[name].required,
        }
        for name in notices.ACCOUNT_TOPICS
    ]


def _preferences(chosen: list[dict[str, Any]]) -> dict[str, Any]:
    return {"data": topics(chosen), "next_cursor": None}
