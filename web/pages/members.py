"""Who may act for the account. Owners alone see and change it, as in the API."""

from __future__ import annotations

from werkzeug.wrappers import Response

from shared.member_models import AccountMember
from web.api.members import MemberQuery, NewMember
from web.members import ROLES
from web.pages import frame, invitations
from web.pages.visitors import visitor
from web.services import services

PATH = "/billing/members"

blueprint = frame.blueprint("members")


@blueprint.get("/members")
def show() -> str:
    """Everybody with a role, who is invited, and forms to change it."""
    who = visitor("owner")
    members = services().ledger.list_members(who.account_id)
    return frame.page(
        "billing/members.html",
        "members",
        members=members,
        only_owner=sum(member["role"] == "owner" for member in members) == 1,
        roles=ROLES,
        **invitations.opened(who.account_id),
    )


@blueprint.post("/members")
@frame.action(PATH)
def put() -> str | Response:
    """Makes somebody a member, or gives a member another role. The last owner stays one."""
    who, member = visitor("owner"), frame.filled_in(NewMember)
    members = services().ledger.set_member(who.account_id, member.user_id, member.role, who.actor)
    said = f"{_called(members, member.user_id)} has the role {member.role} now."
    if member.user_id == who.user_id and member.role != "owner":
        return frame.told(said, "/billing")
    return said


@blueprint.post("/members/remove")
@frame.action(PATH)
def remove() -> str | Response:
    """Ends a membership. The last owner stays."""
    who, member = visitor("owner"), frame.filled_in(MemberQuery)
    called = _called(services().ledger.list_members(who.account_id), member.user_id)
    services().ledger.remove_member(who.account_id, member.user_id, who.actor)
    said = f"{called} is no member of this account any more."
    return frame.told(said, "/billing") if member.user_id == who.user_id else said


def _called(members: list[AccountMember], user_id: str) -> str:
    """The member's mail address, else the id."""
    return next((m["email"] for m in members if m["user_id"] == user_id and m["email"]), user_id)
