"""The forms of holds and their settlements."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from web.api.queries import Page, PageQuery
from web.api.spending import NewId, Priced, event_of
from web.fields import (
    Answer,
    Body,
    CreditsIn,
    CreditsOut,
    PositiveCreditsIn,
    Quantity,
    SmallObject,
    Text,
    printable,
)

SECONDS_DEFAULT, SECONDS_MAX = 900, 86_400
SETTLED_MAX = 1_000

State = Literal["open", "settled", "released", "expired"]
Seconds = Annotated[int, Field(ge=1, le=SECONDS_MAX, description="Seconds from now, at most a day.")]


class HoldPath(Body):
    """Which hold."""

    id: Annotated[Text, Field(description="The hold's id, URL-encoded; a slash as `%2F`.")]


class HoldQuery(PageQuery):
    """A page of holds, of one state if given."""

    state: State | None = None
    # It carries an id beside a time.
    cursor: (
        Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(printable)] | None
    ) = None


class NewHold(Priced):
    """A reservation: of `amount`, or of what `action` costs by its rate card."""

    id: NewId = None
    parent_id: Annotated[
        Text | None,
        Field(description="Reserve from this hold instead of the account: a child of a run."),
    ] = None
    expires_in: Seconds = SECONDS_DEFAULT


class SettledUsage(Body):
    """What was used. `amount` instead of the price of `action` needs the scope `price`."""

    action: Text | None = None
    quantity: Quantity = 1
    amount: CreditsIn | None = None
    agent: Text | None = None
    department_id: Text | None = None
    member_id: Text | None = None
    run_id: Text | None = None
    dimensions: SmallObject | None = None
    metadata: SmallObject | None = None

    @model_validator(mode="after")
    def _is_priced(self) -> Self:
        if self.action is None and self.amount is None:
            raise ValueError("name an action, or an amount")
        return self


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class Settlement(Body):
    """What it cost: `amount`, or `usage` that the rate cards price; with neither, all that is left of the hold.

    `amount` needs the scope `price`, and so does charging what is left of a hold that was placed by amount.
    """

    account_id: Text | None = None
    amount: Annotated[CreditsIn | None, Field(description='Credits; may be "0".')] = None
    usage: Annotated[
        Annotated[list[SettledUsage], Field(min_length=1, max_length=SETTLED_MAX)] | None,
        BeforeValidator(_listed, json_schema_input_type=SettledUsage | list[SettledUsage] | None),
        Field(description="One object, or an array of up to 1,000."),
    ] = None
    final: Annotated[
        bool, Field(description="true closes the hold and its children; false charges and leaves it open.")
    ] = True
    id: Annotated[
        Text | None, Field(description="Names a settlement that is not final; unique in the hold.")
    ] = None
    reserve: Annotated[
        PositiveCreditsIn | None, Field(description="With `final` false: hold that much more.")
    ] = None
    expires_in: Annotated[Seconds | None, Field(description="With `final` false: extend the hold.")] = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.amount is not None and self.usage is not None:
            raise ValueError("send amount or usage, not both")
        if self.final and (self.reserve is not None or self.expires_in is not None):
            raise ValueError("reserve and expires_in belong to a settlement with final false")
        if not self.final and self.id is None:
            raise ValueError("a settlement with final false needs an id")
        return self

    def is_priced_by_caller(self) -> bool:
        """Whether it names a price of its own."""
        return self.amount is not None or any(item.amount is not None for item in self.usage or ())

    def takes_what_is_held(self) -> bool:
        """Whether what it charges follows from what was reserved."""
        return self.final and self.amount is None and self.usage is None

    def for_ledger(self) -> dict[str, Any]:
        """The settlement in the ledger's form; what was left out stays out."""
        given: dict[str, Any] = {"amount": self.amount}
        if self.usage is not None:
            given["usage"] = [event_of(item) for item in self.usage]
        if not self.final:
            given |= {
                "final": False,
                "id": self.id,
                "reserve": self.reserve,
                "expires_in": self.expires_in,
            }
        return {name: value for name, value in given.items() if value is not None}


class Extension(Body):
    """A heartbeat."""

    account_id: Text | None = None
    expires_in: Seconds = SECONDS_DEFAULT


class Release(Body):
    """Names the account; a key that is bound to one may leave the body out."""

    account_id: Text | None = None


class Hold(Answer):
    """A hold."""

    id: str
    account_id: str
    parent_id: str | None
    state: State
    amount: Annotated[CreditsOut, Field(description="What was reserved, more of it later included.")]
    settled: Annotated[CreditsOut, Field(description="Charged through it.")]
    spent: Annotated[CreditsOut, Field(description="Charged through it and its children.")]
    reserved: Annotated[CreditsOut, Field(description="What its open children hold.")]
    remaining: Annotated[CreditsOut, Field(description="What may still be spent or reserved from it.")]
    action: str | None
    agent: str | None
    department_id: str | None
    member_id: str | None
    run_id: str | None
    expires_at: str
    created_at: str
    closed_at: str | None
    available: Annotated[CreditsOut, Field(description="What the account has left beside its holds.")]
    status: str


class Refusal(Answer):
    """What could not be reserved, in the words of the error that asking for it alone would get."""

    code: str
    detail: str
    binding: str | None = None
    needed: CreditsOut | None = None
    available: CreditsOut | None = None
    topup: str | None = None
    purchase_url: str | None = None
    hold_id: str | None = None
    scope_id: str | None = None
    window: str | None = None
    resets_at: str | None = None
    state: str | None = None


class SettledHold(Hold):
    """A hold after a settlement."""

    refusal: Annotated[
        Refusal | None,
        Field(description="Why `reserve` was not granted. The charge stands all the same."),
    ]


class HoldPage(Page):
    """A page of holds."""

    data: list[Hold]
