"""Who may act for an account, and which accounts a person may act for."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from shared.member_models import Role
from web.endpoints import Call, Endpoint
from web.fields import AccountId, Answer, Body, UserId

User = Annotated[
    UserId, AfterValidator(str.lower), Field(description="The user's id at Supabase: the token's `sub`.")
]
_ERRORS = ("unknown_account",)


class AccountPath(Body):
    """An account by its id."""

    id: AccountId


class NewMember(Body):
    """A user, and what the user may do: member reads; admin also buys and sets limits; owner may do everything."""

    user_id: User
    role: Role


class MemberQuery(Body):
    """Names the member."""

    user_id: User


class Member(Answer):
    """A member of an account."""

    user_id: str
    email: Annotated[
        str | None,
        Field(description="With which the person signs in; null until they have opened the account."),
    ]
    role: Role
    created_at: str


class Members(Answer):
    """The account's members, the first one first."""

    data: list[Member]
    next_cursor: None = None


class MyAccount(Answer):
    """An account that the caller may act for."""

    account_id: str
    name: str
    role: Role


class Me(Answer):
    """The person whom the token is about."""

    user_id: str
    email: str | None
    accounts: list[MyAccount]


@Endpoint("GET", "/api/me", summary="Who I am", tag="members", member_role="member", answer=Me)
def me(call: Call) -> Any:
    """The member's accounts, with the role in each. An empty list for a person whom nobody has made a member yet."""
    person = call.person
    accounts = call.services.ledger.list_memberships(person.user_id)
    return {"user_id": person.user_id, "email": person.email, "accounts": accounts}


@Endpoint(
    "GET",
    "/api/accounts/{id}/members",
    summary="Members of an account",
    tag="members",
    scope="accounts",
    member_role="owner",
    params=AccountPath,
    answer=Members,
    errors=_ERRORS,
)
def index(call: Call) -> Any:
    """Everybody who may act for the account."""
    return {"data": call.services.ledger.list_members(call.account_id(call.params.id))}


@Endpoint(
    "PUT",
    "/api/accounts/{id}/members",
    summary="Make somebody a member, or change a role",
    tag="members",
    scope="accounts",
    member_role="owner",
    params=AccountPath,
    body=NewMember,
    example={"user_id": "7f2c1b52-6f3c-4f6e-9a53-0a2a5d8f6f10", "role": "admin"},
    answer=Members,
    errors=(*_ERRORS, "state_conflict"),
)
def put(call: Call) -> Any:
    """The last owner stays one (409). A role counts within five seconds."""
    body: NewMember = call.body
    account_id = call.account_id(call.params.id)
    return {"data": call.services.ledger.set_member(account_id, body.user_id, body.role, call.actor)}


@Endpoint(
    "DELETE",
    "/api/accounts/{id}/members",
    summary="End a membership",
    tag="members",
    scope="accounts",
    member_role="owner",
    params=AccountPath,
    query=MemberQuery,
    answer=Members,
    errors=(*_ERRORS, "state_conflict"),
)
def remove(call: Call) -> Any:
    """The user's token opens nothing of the account any more, within five seconds. The last owner stays (409)."""
    account_id = call.account_id(call.params.id)
    return {"data": call.services.ledger.remove_member(account_id, call.query.user_id, call.actor)}
