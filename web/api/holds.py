"""Holds: credits that are reserved before work begins, and settled by what it cost. A run's budget is a hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from flask import Response
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from shared import errors, keys, models, queue
from shared.errors import Refused
from web import idempotency
from web.api.queries import AccountQuery, Page, PageQuery, account_of
from web.api.spending import (
    NO_CREDITS,
    PAYMENT_REQUIRED,
    UNPRICED,
    NewId,
    Priced,
    event_of,
    explained,
)
from web.auth import require_scope
from web.endpoints import Call, Endpoint
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
_ACCOUNT = ("unknown_account", "account_required")

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

    `amount` needs the scope `price`.
    """

    account_id: Text | None = None
    amount: Annotated[CreditsIn | None, Field(description='Credits; may be "0".')] = None
    usage: Annotated[
        list[SettledUsage] | None,
        BeforeValidator(_listed, json_schema_input_type=SettledUsage | list[SettledUsage] | None),
        Field(min_length=1, max_length=SETTLED_MAX, description="One object, or an array of them."),
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


@Endpoint(
    "POST",
    "/api/credits/holds",
    summary="Reserve credits",
    tag="holds",
    scope="spend",
    body=NewHold,
    example={"id": "run-42", "amount": "25", "expires_in": 3600, "agent": "researcher", "run_id": "run-42"},
    answer=Hold,
    statuses=(201, 200),
    errors=(
        *NO_CREDITS,
        *UNPRICED,
        "idempotency_conflict",
        "not_found",
        "state_conflict",
        "invalid_idempotency_key",
    ),
)
def place(call: Call) -> Response:
    """Reserves once for the id, from the account or from the hold `parent_id`, or refuses with 402.

    201 when it was placed, 200 when it was placed before. What is not settled comes back at `expires_at`.
    """
    body: NewHold = call.body
    account_id = call.account_id(body.account_id)
    hold = event_of(body) | {"id": body.id or idempotency.header_key() or keys.new_id("hold")}
    try:
        placed = call.services.ledger.place_hold(account_id, hold)
    except Refused as refusal:
        raise explained(call, account_id, refusal) from None
    _hint_topup(call, placed)
    return call.respond(placed, 200 if placed["replayed"] else 201)


@Endpoint(
    "GET",
    "/api/credits/holds",
    summary="The account's holds, newest first",
    tag="holds",
    scope="read",
    query=HoldQuery,
    answer=HoldPage,
    errors=(*_ACCOUNT, "invalid_value"),
)
def show_all(call: Call) -> Any:
    """Every hold, of one state if given."""
    query: HoldQuery = call.query
    return call.services.ledger.list_holds(account_of(call), query.limit, query.cursor, query.state)


@Endpoint(
    "GET",
    "/api/credits/holds/{id}",
    summary="A hold",
    tag="holds",
    scope="read",
    params=HoldPath,
    query=AccountQuery,
    answer=Hold,
    errors=(*_ACCOUNT, "not_found"),
)
def show(call: Call) -> Any:
    """The hold as it is, and what the account has left."""
    return call.services.ledger.get_hold(account_of(call), call.params.id)


@Endpoint(
    "POST",
    "/api/credits/holds/{id}/settle",
    summary="Charge what it cost",
    tag="holds",
    scope="spend",
    params=HoldPath,
    body=Settlement,
    body_optional=True,
    example={
        "usage": [
            {
                "action": "llm",
                "dimensions": {"model": "small-1", "input_tokens": 1200, "output_tokens": 310},
            }
        ]
    },
    answer=SettledHold,
    errors=(*UNPRICED, "not_found", "idempotency_conflict", "state_conflict"),
)
def settle(call: Call) -> Response:
    """Charges once what the work cost, more than was held or after the end of the hold as well, and returns the rest.

    With `final` false the hold stays open, and can be extended and reserve more in the same call.
    """
    body: Settlement = call.body
    if body.is_priced_by_caller():
        require_scope(call.api_key, "price")
    account_id = call.account_id(body.account_id)
    settled = call.services.ledger.settle_hold(account_id, call.params.id, body.for_ledger())
    _hint_topup(call, settled)
    return call.respond({**settled, "refusal": _refusal(call, settled)})


@Endpoint(
    "POST",
    "/api/credits/holds/{id}/extend",
    summary="Let a hold live longer",
    tag="holds",
    scope="spend",
    params=HoldPath,
    body=Extension,
    body_optional=True,
    example={"expires_in": 900},
    answer=Hold,
    errors=(*_ACCOUNT, "not_found", "state_conflict", "invalid_value"),
)
def extend(call: Call) -> Any:
    """The heartbeat of long work: the hold, and the holds it reserves from, live `expires_in` seconds from now.

    Never shortens, and never beyond a day after the hold was placed.
    """
    body: Extension = call.body
    return call.services.ledger.extend_hold(call.account_id(body.account_id), call.params.id, body.expires_in)


@Endpoint(
    "POST",
    "/api/credits/holds/{id}/release",
    summary="Give back what is held",
    tag="holds",
    scope="spend",
    params=HoldPath,
    body=Release,
    body_optional=True,
    example={"account_id": "acme"},
    answer=Hold,
    errors=(*_ACCOUNT, "not_found", "state_conflict"),
)
def release(call: Call) -> Any:
    """Closes the hold and its children. What was charged through them stays charged."""
    body: Release = call.body
    return call.services.ledger.release_hold(call.account_id(body.account_id), call.params.id)


def _hint_topup(call: Call, hold: models.Hold) -> None:
    if hold["topup_due"]:
        call.services.queue.hint(queue.CHECK_THRESHOLD, hold["account_id"])


def _refusal(call: Call, hold: models.Hold) -> dict[str, Any] | None:
    """What a settlement could not reserve, as that refusal would read by itself."""
    raised = hold["refusal"]
    if raised is None:
        return None
    refusal = errors.from_sqlstate(raised["sqlstate"], raised["message"], raised["detail"])
    if refusal is None:
        raise RuntimeError(f"settle_hold answered the SQLSTATE {raised['sqlstate']}")
    if refusal.status == PAYMENT_REQUIRED:
        refusal = explained(call, hold["account_id"], refusal)
    return {"code": refusal.code, "detail": refusal.detail, **refusal.extra}
