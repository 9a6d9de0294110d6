"""Opening accounts, and changing what they are called and where their mails go."""

from __future__ import annotations

from typing import Annotated, Any, Self

from flask import Response
from pydantic import Field, model_validator

from shared.errors import Refused
from web import idempotency
from web.api.members import AccountPath
from web.endpoints import Call, Endpoint
from web.fields import AccountId, Answer, Body, Email, Name, UserId


class NewAccount(Body):
    """An organisation, or a person's own account."""

    id: AccountId | None = None
    name: Name
    owner_id: UserId | None = None
    email: Email


class AccountEdit(Body):
    """What is to change. What is missing or null stays as it is."""

    name: Name | None = None
    email: Annotated[
        Email | None, Field(description="Where mails about the account go. The old address is told.")
    ] = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.name is None and self.email is None:
            raise ValueError("name a new name or a new mail address")
        return self


class Account(Answer):
    """An account."""

    account_id: str
    name: str
    email: str | None
    email_refused: Annotated[
        bool,
        Field(
            description="Stripe does not accept the address: it mails no receipts until the address is corrected."
        ),
    ]
    status: str
    created_at: str


@Endpoint(
    "POST",
    "/api/accounts",
    summary="Open an account",
    tag="accounts",
    scope="accounts",
    body=NewAccount,
    example={"id": "acme", "name": "Acme", "email": "billing@acme.example"},
    answer=Account,
    statuses=(201, 200),
    errors=(
        "unknown_account",
        "key_bound",
        "idempotency_key_reused",
        "idempotency_key_expired",
        "invalid_idempotency_key",
        "request_in_flight",
    ),
)
def open_account(call: Call) -> Response:
    """201 and the sign-up credits, once; 200 and the account as it is when the id is known.

    A key that is bound to an account opens no other.
    """
    body: NewAccount = call.body
    if body.id is not None:
        return _open(call, call.account_id(body.id))
    if call.api_key["account_id"] is not None:
        raise Refused(
            "This API key is bound to one account and opens no other. Use a key that is bound to none.",
            code="key_bound",
            status=403,
        )
    return idempotency.once(
        call.services.ledger,
        call.caller,
        body.model_dump(),
        lambda attempt: _open(call, attempt.id("acc")),
        makes="acc",
    )


@Endpoint(
    "PATCH",
    "/api/accounts/{id}",
    summary="Change an account's name or mail address",
    tag="accounts",
    scope="accounts",
    member_role="owner",
    params=AccountPath,
    body=AccountEdit,
    example={"email": "accounting@acme.example"},
    answer=Account,
    errors=("unknown_account",),
)
def edit_account(call: Call) -> Any:
    """The address that it had before gets a mail that says so. What Stripe mails goes to the address in its portal."""
    edit: AccountEdit = call.body
    return call.services.ledger.edit_account(
        call.account_id(call.params.id), edit.name, edit.email, call.actor
    )


def _open(call: Call, account_id: str) -> Response:
    body: NewAccount = call.body
    account: Any = call.services.ledger.open_account(
        account_id,
        body.name,
        body.email,
        body.owner_id,
        call.services.settings.signup_micro_credits,
        call.actor,
    )
    return call.respond(account, 201 if account["created"] else 200)
