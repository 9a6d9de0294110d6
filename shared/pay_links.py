"""Signed links for people who need not be signed in here: to confirm a payment, and to come back from Checkout.

A link to confirm names one payment that the bank would not let pass without its card holder, and lives as long as Refill
keeps such a payment open. Whoever holds it may pay that payment, and learn its amount; it opens no session.

A link to come back names a purchase or a checkout of a plan. Whoever holds it learns what became of that, and may do
nothing: it is signed in another way, and opens no page that pays.
"""

from __future__ import annotations

from itsdangerous import BadSignature, SignatureExpired, URLSafeSerializer, URLSafeTimedSerializer

from shared.errors import Refused
from shared.settings import Settings

LINK_SECONDS = 24 * 3600


def pay_url(settings: Settings, payment_id: str) -> str:
    """The address of the page that confirms the payment; valid for 24 hours from now."""
    return f"{settings.base_url}/billing/pay/{_serializer(settings).dumps(payment_id)}"


def payment_of(settings: Settings, token: str) -> str:
    """The payment that a link's token names. Refused: link_expired (410), invalid_token (403)."""
    try:
        payment_id = _serializer(settings).loads(token, max_age=LINK_SECONDS)
    except SignatureExpired:
        raise Refused(
            "This link has expired. Open billing to see what became of the payment.",
            code="link_expired",
            status=410,
        ) from None
    except BadSignature:
        raise Refused(
            "This link is not valid. Copy all of it from the mail.", code="invalid_token", status=403
        ) from None
    return str(payment_id)


def _serializer(settings: Settings) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings.secret_key.get_secret_value(), salt="pay-link")


def return_url(settings: Settings, subject_id: str) -> str:
    """Where Checkout leads back to after the payment or checkout of a plan with this id. It carries no time, since a repeat
    must send Stripe the same address; the page looks at the age of what the link names.
    """
    return f"{settings.base_url}/billing/return/{_returns(settings).dumps(subject_id)}"


def returned(settings: Settings, token: str) -> str:
    """What a link to come back names. Refused: invalid_token (403)."""
    try:
        return str(_returns(settings).loads(token))
    except BadSignature:
        raise Refused(
            "This link is not valid. Open billing to see what became of the payment.",
            code="invalid_token",
            status=403,
        ) from None


def _returns(settings: Settings) -> URLSafeSerializer:
    return URLSafeSerializer(settings.secret_key.get_secret_value(), salt="return-link")
