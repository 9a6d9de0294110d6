"""Rows about people: who is a member of what."""

from __future__ import annotations

from typing import Literal, TypedDict

Role = Literal["member", "admin", "owner"]


class Membership(TypedDict):
    """find_membership. `several`: the user has several accounts and named none, so the others are null."""

    account_id: str | None
    role: Role | None
    several: bool


class MemberAccount(TypedDict):
    """One account of list_memberships."""

    account_id: str
    name: str
    email: str | None
    email_refused: bool
    """Stripe does not accept the address."""
    role: Role


class AccountMember(TypedDict):
    """One member of list_members, set_member, remove_member. `email`: None until the person has opened the account."""

    user_id: str
    email: str | None
    role: Role
    created_at: str


class Invitation(TypedDict):
    """One of list_invitations; find_, accept_ and withdraw_invitation, invite_member. `email`: None once it is closed."""

    id: str
    account_id: str
    account_name: str
    email: str | None
    role: Role
    invited_by: str
    state: Literal["open", "accepted", "withdrawn", "expired"]
    created_at: str
    expires_at: str


class MemberSession(TypedDict):
    """use_session. `tokens`: encrypted, in hex; None for the local sign-in link. `refresh`: whoever got this renews them.
    `stale`: the access token has ended.
    """

    user_id: str
    email: str | None
    account_id: str | None
    tokens: str | None
    refresh: bool
    stale: bool
