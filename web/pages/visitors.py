"""Who looks at a page, and what that person may do there: the one question that every view asks."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, flash, g, request

from shared.errors import Refused
from shared.member_models import MemberAccount, Role
from web.members import allows, role_missing
from web.services import services


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person who is signed in, the account in view, and the role there."""

    user_id: str
    email: str | None
    account_id: str
    role: Role
    accounts: list[MemberAccount]

    @property
    def actor(self) -> str:
        """For the audit log and the record of consents."""
        return f"member:{self.user_id}"

    def may(self, needed: Role) -> bool:
        """Whether a form that needs this role is offered."""
        return allows(self.role, needed)


def visitor(needed: Role = "member") -> Visitor:
    """The request's visitor.

    Refused: unauthenticated (the sign-in page), no_account for a person who is nobody's member, membership_ended for a
    form of an account that the person has left, role_missing.
    """
    if "visitor" not in g:
        g.visitor = _find()
    found: Visitor = g.visitor
    if not found.may(needed):
        raise role_missing(needed)
    return found


def known() -> Visitor | None:
    """The request's visitor, on pages for everybody; None for who is not signed in or a member of nothing."""
    try:
        return visitor()
    except Refused:
        return None


def register(blueprint: Blueprint) -> None:
    """Templates of the blueprint know the visitor, once a view has asked."""
    blueprint.context_processor(lambda: {"visitor": g.get("visitor")})


def _find() -> Visitor:
    found = services().sessions.current()
    if found is None:
        raise Refused("Sign in to see this page.", code="unauthenticated", status=401)
    g.actor = f"member:{found['user_id']}"
    accounts = services().ledger.list_memberships(found["user_id"])
    if not accounts:
        raise Refused(
            f"You are signed in{f' as {email}' if (email := found['email']) else ''}, and a member of no account yet."
            " Ask an owner to invite you.",
            code="no_account",
            status=403,
            user_id=found["user_id"],
        )
    shown = next((a for a in accounts if a["account_id"] == found["account_id"]), None)
    if shown is None:
        shown = _another(found["account_id"], accounts[0])
    g.account_id = shown["account_id"]
    return Visitor(found["user_id"], found["email"], shown["account_id"], shown["role"], accounts)


def _another(left: str | None, first: MemberAccount) -> MemberAccount:
    """The first account, for a session that has none in view yet, or whose account the person is no member of any more.

    It stays in view from now on: a membership that comes later and sorts before it changes nothing. Refused
    membership_ended for a form: it was about the account that was left, and never acts on another one.
    """
    if left is None:
        services().sessions.begin_in(first["account_id"])
        return first
    if request.method != "GET":
        raise Refused(
            "You are no member of this account any more, so nothing was done. Billing shows another account of yours.",
            code="membership_ended",
            status=409,
        )
    services().sessions.switch(first["account_id"])
    flash(f"You are no member of the account that was open here any more. This is {first['name']}.", "warn")
    return first
