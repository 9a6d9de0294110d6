"""Who looks at a page, and what that person may do there: the one question that every view asks."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, g

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

    Refused: unauthenticated (the sign-in page), no_account for a person who is nobody's member, role_missing.
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
    accounts = services().ledger.list_memberships(found["user_id"])
    if not accounts:
        raise Refused(
            f"You are signed in, and a member of no account yet. Ask an owner to add you: {found['user_id']}.",
            code="no_account",
            status=403,
        )
    shown = next((a for a in accounts if a["account_id"] == found["account_id"]), accounts[0])
    return Visitor(found["user_id"], found["email"], shown["account_id"], shown["role"], accounts)
