"""The field types of requests and answers: said once, checked here, and shown by the OpenAPI document."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)

from shared import credits
from shared.currencies import CAP_MAX
from shared.usage_events import QUANTITY_MAX, is_small_object

_YEARS = range(2000, 2200)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
CREDITS_PATTERN = r"^(0|[1-9][0-9]{0,12})(\.[0-9]{1,6})?$"


class Body(BaseModel):
    """A request body or query: nothing but the named fields, of exactly the named types."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Answer(BaseModel):
    """An answer: what the ledger said, in the names and forms of the API."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("only printable characters")
    return value


def _no_control(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("no control characters")
    return value


def _instant(value: str) -> str:
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None or parsed.year not in _YEARS:
        raise ValueError("an ISO 8601 time with an offset, such as 2026-12-01T00:00:00Z")
    return parsed.isoformat()


def _small_object(value: Any) -> dict[str, Any]:
    if not is_small_object(value):
        raise ValueError("a JSON object of at most 8192 bytes, 16 levels deep, without NUL characters")
    return value  # type: ignore[no-any-return]  # is_small_object has looked


def _positive(value: object) -> int:
    micro = credits.from_json(value)
    if micro == 0:
        raise ValueError("must be more than zero")
    return micro


def _signed(value: object) -> int:
    text = value if isinstance(value, str) else str(value) if type(value) is int else value
    if isinstance(text, str) and text.startswith("-"):
        return -_positive(text[1:])
    return _positive(value)


def _credits_schema(**more: Any) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "description": "Credits: a decimal string with up to six decimals; an integer is accepted.",
            "anyOf": [{"type": "string", "pattern": CREDITS_PATTERN}, {"type": "integer", "minimum": 0}],
            **more,
        },
        mode="validation",
    )


# Names and references that callers choose. In these patterns `$` is the very end, before no line feed either.
Text = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(printable)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_no_control)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_no_control)]
AccountId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,99}$")]
Email = Annotated[
    str, StringConstraints(max_length=320, pattern=r"^[^\s@]+@[^\s@]+$"), AfterValidator(printable)
]
UserId = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
Instant = Annotated[str, AfterValidator(_instant), Field(json_schema_extra={"format": "date-time"})]
SmallObject = Annotated[
    dict[str, Any],
    PlainValidator(_small_object, json_schema_input_type=dict[str, Any]),
    WithJsonSchema({"type": "object", "description": "At most 8192 bytes, 16 levels deep."}),
]
Quantity = Annotated[int, Field(ge=1, le=QUANTITY_MAX)]

# Credits inside are integers of micro-credits; outside they are decimal strings.
CreditsIn = Annotated[int, PlainValidator(credits.from_json), _credits_schema()]
PositiveCreditsIn = Annotated[int, PlainValidator(_positive), _credits_schema()]
SignedCreditsIn = Annotated[
    int,
    PlainValidator(_signed),
    _credits_schema(
        anyOf=[{"type": "string", "pattern": CREDITS_PATTERN.replace("^", "^-?", 1)}, {"type": "integer"}]
    ),
]
CreditsOut = Annotated[
    int,
    PlainSerializer(credits.to_text, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]{1,6})?$", "examples": ["12.5"]},
        mode="serialization",
    ),
]

Currency = Annotated[str, StringConstraints(pattern=r"^[a-z]{3}$")]


class Money(Body):
    """An amount of money in minor units of its currency."""

    amount: Annotated[int, Field(ge=1, le=CAP_MAX, examples=[500])]
    currency: Annotated[Currency, Field(examples=["usd"])]


class MoneyOut(Answer):
    """An amount of money in minor units of its currency."""

    amount: Annotated[int, Field(examples=[500])]
    currency: Annotated[str, Field(examples=["usd"])]


class LineOut(Answer):
    """One part of what is charged, in minor units of the charge's currency; a discount is below zero."""

    kind: Literal["credits", "fee", "tax", "discount"]
    label: str
    amount: Annotated[int, Field(examples=[500])]


class Charged(Answer):
    """A price of credits, and what is charged for them."""

    price: Annotated[MoneyOut, Field(description="Of the credits alone.")]
    total: Annotated[MoneyOut, Field(description="What is charged: credits, fees and taxes.")]
    lines: list[LineOut]


Mode = Literal["fixed", "target"]


def numbered(prefix: str) -> Any:
    """An output type that shows a row's number as an id: 42 -> "txn_42"."""
    return Annotated[
        int,
        PlainSerializer(lambda number: f"{prefix}_{number}", return_type=str),
        WithJsonSchema({"type": "string", "examples": [f"{prefix}_42"]}, mode="serialization"),
    ]
