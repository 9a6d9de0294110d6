"""Invitations: owners send and withdraw them, and whoever was sent one becomes a member by its link.

The link is the authority, not the address that somebody signs in with: it was mailed, and a token may carry an address that
nobody has confirmed.
"""

from __future__ import annotations

from typing import Any

from flask import render_template, request
from werkzeug.wrappers import Response

from shared import invite_links, keys
from shared.errors import Refused
from shared.member_models import Invitation, MemberSession, Role
from web.fields import Body, Email, Text
from web.pages import frame
from web.pages.visitors import visitor
from web.services import services

MEMBERS = "/billing/members"
_CLOSED = {
    "accepted": "This invitation was accepted already, and works once.",
    "withdrawn": "This invitation was withdrawn. Ask an owner of the account for another one.",
    "expired": "This invitation has expired. Ask an owner of the account for another one.",
}

blueprint = frame.blueprint("invitations")


class NewInvitation(Body):
    """Who is invited, and as what."""

    email: Email
    role: Role


class InvitationId(Body):
    """Names an invitation of the account."""

    id: Text


@blueprint.post("/members/invite")
@frame.action(MEMBERS)
def invite() -> str:
    """Mails an invitation. The form's own id makes a double click one invitation."""
    who, request_id = visitor("owner"), request.form.get("request_id", "")
    if not request_id.startswith("form_"):
        raise Refused("The form was not complete. Reload the page and try again.")
    wanted = frame.filled_in(NewInvitation)
    services().limiter.check("invite", who.account_id, request.remote_addr, who.user_id)
    services().limiter.check_mail("invite", wanted.email)
    services().ledger.invite_member(
        keys.derived_id("inv", who.account_id, request_id, wanted.email, wanted.role),
        who.account_id,
        wanted.email,
        wanted.role,
        who.actor,
    )
    if services().settings.smtp_url is None:
        return f"{wanted.email} is invited. Mails are not set up here: pass on the link below."
    return f"An invitation to {wanted.email} is on its way."


@blueprint.post("/members/invitations/withdraw")
@frame.action(MEMBERS)
def withdraw() -> str:
    """Makes the link of an invitation worthless."""
    who, wanted = visitor("owner"), frame.filled_in(InvitationId)
    services().ledger.withdraw_invitation(who.account_id, wanted.id, who.actor)
    return "The invitation is withdrawn. Its link works no more."


@blueprint.get("/invitations/<token>")
def show(token: str) -> str:
    """What the link invites to. Nothing happens before it is confirmed."""
    person, invitation = _person(), _invitation(token)
    return render_template(
        "billing/invitation.html", person=person, invitation=invitation, role=_role(person, invitation)
    )


@blueprint.post("/invitations/<token>")
def accept(token: str) -> Response:
    """Makes whoever is signed in a member; the account comes into view."""
    person = _person()
    invited = invite_links.invitation_of(services().settings, token)
    accepted = services().ledger.accept_invitation(*invited, person["user_id"], person["email"])
    services().sessions.switch(accepted["account_id"])
    return frame.told(
        f"You are a member of {accepted['account_name']} now, with the role {accepted['role']}.", "/billing"
    )


def opened(account_id: str) -> dict[str, Any]:
    """What the page of members shows of invitations. Links are for owners only where no mail brings them."""
    settings, rows = services().settings, services().ledger.list_invitations(account_id)
    mails = settings.smtp_url is not None
    links = (
        {} if mails else {row["id"]: invite_links.invite_url(settings, account_id, row["id"]) for row in rows}
    )
    return {"invitations": rows, "links": links, "mails": mails, "request_id": keys.new_id("form")}


def _person() -> MemberSession:
    """Who is signed in, whether a member of anything or not. Refused unauthenticated: the sign-in page leads back here."""
    found = services().sessions.current()
    if found is None:
        raise Refused("Sign in to see this page.", code="unauthenticated", status=401)
    return found


def _invitation(token: str) -> Invitation:
    found = services().ledger.find_invitation(*invite_links.invitation_of(services().settings, token))
    state = "withdrawn" if found is None else found["state"]
    if found is None or state != "open":
        raise Refused(_CLOSED[state], code="invitation_closed", status=410)
    return found


def _role(person: MemberSession, invitation: Invitation) -> Role | None:
    """The role that the person has in the account already."""
    accounts = services().ledger.list_memberships(person["user_id"])
    return next((own["role"] for own in accounts if own["account_id"] == invitation["account_id"]), None)
