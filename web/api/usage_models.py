"""The forms in which usage arrives, for the OpenAPI document.

Shared/usage_events.py checks them, by hand, for speed.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from web.fields import Body, PositiveCreditsIn, Quantity, SmallObject, Text


class UsageData(Body):
    """What was used.

    `action` is priced by the table of actions; `amount` instead of that price needs the scope `price`.
    """

    account_id: Text | None = None
    action: Text | None = None
    quantity: Quantity = 1
    amount: PositiveCreditsIn | None = None
    agent: Text | None = None
    agent_type: Annotated[Text | None, Field(description="Another name of `agent`.")] = None
    department_id: Text | None = None
    member_id: Text | None = None
    run_id: Text | None = None
    dimensions: SmallObject | None = None
    metadata: SmallObject | None = None


class UsageIn(UsageData):
    """A usage event. `id` is unique in the account: the same event sent again is not booked again."""

    id: Text
    occurred_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None


class CloudEventIn(Body):
    """A CloudEvent 1.0. Its `id` is the event's id in the account; `source` does not widen it."""

    model_config = ConfigDict(extra="allow")

    specversion: Literal["1.0"]
    id: Text
    source: Annotated[str, Field(min_length=1)]
    type: Literal["refill.usage"]
    subject: Annotated[Text | None, Field(description="The account, unless `data` names it.")] = None
    time: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    data: UsageData
