"""Who may act for the account. Owners alone see and change it, as in the API."""

from __future__ import annotations

from werkzeug.wrappers import Response

from web.api.members import MemberQuery, NewMember
from web.members import ROLES
from web.pages import frame
from web.pages.visitors import visitor
from web.services import services

PATH = "/billing/members"

blueprint = frame.blueprint("members")


@blueprint.get("/members")
def show() -> str:
    """Everybody with a role, and forms to change it."""
    members = services().ledger.list_members(visitor("owner").account_id)
    return frame.page(
        "billing/members.html",
        "members",
        members=members,
        only_owner=sum(member["role"] == "owner" for member in members) == 1,
        roles=ROLES,
    )


@blueprint.post("/members")
@frame.action(PATH)
def put() -> str | Response:
    """Makes somebody a member, or gives a member another role. The last owner stays one."""
    who, member = visitor("owner"), frame.filled_in(NewMember)
    services().ledger.set_member(who.account_id, member.user_id, member.role, who.actor)
    said = f"{member.user_id} has the role {member.role} now."
    if member.user_id == who.user_id and member.role != "owner":
        return frame.told(said, "/billing")
    return said


@blueprint.post("/members/remove")
@frame.action(PATH)
def remove() -> str | Response:
    """Ends a membership. The last owner stays."""
    who, member = visitor("owner"), frame.filled_in(MemberQuery)
    services().ledger.remove_member(who.account_id, member.user_id, who.actor)
    said = f"{member.user_id} is no member of this account any more."
    return frame.told(said, "/billing") if member.user_id == who.user_id else said
