"""Rate cards: what actions cost."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from shared.errors import Refused
from web.endpoints import Call, Endpoint
from web.fields import Answer, Body, CreditsOut, Instant, Name, PositiveCreditsIn, Reason, Text

PER_MAX = 1_000_000_000
RATES_MAX = 50

Dimension = Annotated[Text, StringConstraints(max_length=100)]


class RateIn(Body):
    """So many credits for so many of a dimension: `{"credits": "3", "per": 1000000}`."""

    credits: PositiveCreditsIn
    per: Annotated[int, Field(ge=1, le=PER_MAX)]


class NewCard(Body):
    """A rate card: `credits` for one of `quantity`, `rates` for the numbers in `dimensions`, or both."""

    action: Text
    credits: Annotated[
        PositiveCreditsIn | None, Field(description="For one of `quantity`: a call, a second, a page.")
    ] = None
    rates: Annotated[
        Annotated[dict[Dimension, RateIn], Field(min_length=1, max_length=RATES_MAX)] | None,
        Field(description="By dimension, such as `input_tokens`."),
    ] = None
    model: Annotated[
        Text | None, Field(description="For calls whose `dimensions` name this model; otherwise for all.")
    ] = None
    account_id: Annotated[
        Text | None, Field(description="For this account, before everybody's; otherwise for all.")
    ] = None
    unit: Name | None = None
    description: Reason | None = None
    effective_from: Annotated[
        Instant | None, Field(description="From when on it is in force, now or later; now when left out.")
    ] = None
    retire: Annotated[
        bool, Field(description="No price any more: the card ends, and the action is refused again.")
    ] = False
    confirm: Annotated[bool, Field(description="Means a price that looks like a slip of the unit.")] = False

    @model_validator(mode="after")
    def _is_a_card(self) -> Self:
        priced = self.credits is not None or self.rates is not None
        if self.retire and priced:
            raise ValueError("retire a card, or set its prices")
        if not self.retire and not priced:
            raise ValueError("a card has credits, rates or both")
        return self


class Rate(Answer):
    """So many credits for so many of a dimension."""

    credits: CreditsOut
    per: int


class Action(Answer):
    """What an action costs."""

    action: str
    model: str | None
    credits: Annotated[CreditsOut | None, Field(description="For one of `quantity`.")]
    rates: dict[str, Rate]
    unit: str | None
    description: str | None
    effective_from: Annotated[str | None, Field(description="null: since ever.")]


class Actions(Answer):
    """The priced actions."""

    data: list[Action]
    next_cursor: None = None


class Card(Action):
    """A rate card as it was set or retired."""

    account_id: str | None
    effective_until: Annotated[str | None, Field(description="null: until the next card.")]
    retired: bool


@Endpoint("GET", "/api/billing/actions", summary="What actions cost", tag="catalogue", answer=Actions)
def actions(call: Call) -> Any:
    """Everybody's rate cards that are in force now, by action and model."""
    return {"data": call.services.ledger.list_actions()}


@Endpoint(
    "PUT",
    "/api/billing/actions",
    summary="Set what an action costs",
    tag="operators",
    scope="admin",
    body=NewCard,
    example={
        "action": "llm",
        "model": "small-1",
        "rates": {
            "input_tokens": {"credits": "3", "per": 1_000_000},
            "output_tokens": {"credits": "15", "per": 1_000_000},
        },
    },
    answer=Card,
    errors=("invalid_value", "unknown_account", "not_found", "price_change_too_large"),
)
def put(call: Call) -> Any:
    """The card before ends when this one begins; what was charged stays as it was. Needs a key that is bound to no
    account.

    A price that is ten times the last one or a tenth of it, a hundred times off the other models', or above a credit
    a token is refused unless `confirm` is set. Usage that waited for a price is booked by it within minutes.
    """
    if call.api_key["account_id"] is not None:
        raise Refused(
            "Prices are the platform's: a key that is bound to an account may not set them.",
            code="scope_missing",
            status=403,
            scope="admin",
        )
    body: NewCard = call.body
    return call.services.ledger.set_action_cost(body.model_dump(exclude_none=True), call.actor)
