"""How people are named on pages: by the mail address that they sign in with. The books know them by their ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.member_models import AccountMember

MEMBER = "member:"


def names(members: Iterable[AccountMember]) -> dict[str, str]:
    """What each member of an account is called, by the actor of the records; "Member" while no address is known."""
    return {MEMBER + member["user_id"]: member["email"] or "Member" for member in members}


def actor(name: str, named: Mapping[str, str]) -> str:
    """Who acted, in words. The address of whoever is no member any more is not kept."""
    if name.startswith(MEMBER):
        return named.get(name, "Former member")
    return name.replace("_", " ").replace(":", " ", 1)
