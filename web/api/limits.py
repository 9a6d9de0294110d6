"""What departments, members and agents may spend, and what something would cost."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from web.api.queries import AccountQuery, account_of
from web.api.spending import UNPRICED, Priced, event_of
from web.endpoints import Call, Endpoint
from web.fields import Answer, Body, CreditsOut, PositiveCreditsIn, Text

Scope = Literal["department", "member", "agent"]
Window = Literal["day", "week", "month"]


class LimitSetting(Body):
    """A limit. Windows are UTC: days, weeks from Monday, months."""

    account_id: Text | None = None
    scope: Scope
    scope_id: Text
    window: Window
    credits: Annotated[PositiveCreditsIn | None, Field(description="null removes the limit.")]
    hard: Annotated[
        bool,
        Field(description="true: spends and holds that would pass it are refused. false: it only announces."),
    ] = True


class Limit(Answer):
    """A limit and what is used of it. Nulls when it was removed."""

    account_id: str
    scope: Scope
    scope_id: str
    window: Window
    credits: CreditsOut | None
    hard: bool | None
    used: Annotated[CreditsOut | None, Field(description="Spent in this window.")]
    held: Annotated[CreditsOut | None, Field(description="What open holds reserve of it.")]
    left: CreditsOut | None
    window_started_at: str | None
    resets_at: str | None


class Limits(Answer):
    """The account's limits."""

    data: list[Limit]
    next_cursor: None = None


class Question(Priced):
    """What is to be priced, as in a spend."""

    hold_id: Annotated[Text | None, Field(description="Ask about spending from this hold.")] = None


class Bound(Answer):
    """Something that a spend must stay within, and what it leaves."""

    binding: Literal["balance", "run", "department", "member", "agent"]
    available: CreditsOut
    hold_id: str | None = None
    scope_id: str | None = None
    window: Window | None = None
    resets_at: str | None = None


class Quote(Answer):
    """A price, and whether it would be let through now."""

    credits: CreditsOut
    available: Annotated[CreditsOut, Field(description="What the tightest bound leaves.")]
    sufficient: bool
    binding: Annotated[str, Field(description="The tightest bound.")]
    status: str
    bounds: Annotated[list[Bound], Field(description="Every bound, the tightest first.")]


@Endpoint(
    "GET",
    "/api/credits/limits",
    summary="Limits and what is used of them",
    tag="limits",
    scope="read",
    member_role="member",
    query=AccountQuery,
    answer=Limits,
    errors=("unknown_account", "account_required"),
)
def show(call: Call) -> Any:
    """Every limit of the account's departments, members and agents."""
    return {"data": call.services.ledger.list_limits(account_of(call))}


@Endpoint(
    "PUT",
    "/api/credits/limits",
    summary="Set or remove a limit",
    tag="limits",
    scope="admin",
    member_role="admin",
    body=LimitSetting,
    example={"scope": "agent", "scope_id": "researcher", "window": "day", "credits": "50"},
    answer=Limit,
    errors=("unknown_account", "account_required", "invalid_value"),
)
def put(call: Call) -> Any:
    """What was spent in the window so far and what open holds reserve count from the start.

    A hard limit refuses spends and holds with `limit_reached`; usage that already happened is always booked. Reaching
    a limit, hard or soft, is announced once a window.
    """
    body: LimitSetting = call.body
    limit = body.model_dump(exclude={"account_id"})
    return call.services.ledger.set_limit(call.account_id(body.account_id), limit, call.actor)


@Endpoint(
    "POST",
    "/api/credits/quote",
    summary="What something would cost",
    tag="credits",
    scope="spend",
    member_role="member",
    body=Question,
    example={"action": "message", "quantity": 10, "agent": "researcher"},
    answer=Quote,
    errors=(*UNPRICED, "not_found"),
)
def quote(call: Call) -> Any:
    """Prices it, and says whether the balance, the hold and the hard limits would let it through now.

    Changes nothing and promises nothing: only a hold reserves.
    """
    body: Question = call.body
    return call.services.ledger.quote_credits(call.account_id(body.account_id), event_of(body))
