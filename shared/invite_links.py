"""Signed links by which a person becomes a member of an account.

A link names one account and one invitation, and opens nothing by itself: whoever holds it signs in, sees what it is, and
confirms. It was mailed to one address, and having it is the proof. What became of the invitation is in the books.
"""

from __future__ import annotations

from typing import NamedTuple

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from shared.errors import Refused
from shared.settings import Settings

LINK_SECONDS = 7 * 24 * 3600


class Invited(NamedTuple):
    """What a link names."""

    account_id: str
    invitation_id: str


def invite_url(settings: Settings, account_id: str, invitation_id: str) -> str:
    """The address of the page that shows the invitation; valid for seven days from now, or until the invitation ends."""
    return (
        f"{settings.base_url}/billing/invitations/{_serializer(settings).dumps([account_id, invitation_id])}"
    )


def invitation_of(settings: Settings, token: str) -> Invited:
    """The invitation that a link's token names. Refused: link_expired (410), invalid_token (403)."""
    try:
        account_id, invitation_id = _serializer(settings).loads(token, max_age=LINK_SECONDS)
    except SignatureExpired:
        raise Refused(
            "This invitation has expired. Ask an owner of the account for another one.",
            code="link_expired",
            status=410,
        ) from None
    except BadSignature:
        raise Refused(
            "This link is not valid. Copy all of it from the mail.", code="invalid_token", status=403
        ) from None
    return Invited(str(account_id), str(invitation_id))


def _serializer(settings: Settings) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings.secret_key.get_secret_value(), salt="invite-link")
