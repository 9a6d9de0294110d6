"""Signed links under which a person confirms a payment that the bank would not let pass without its card holder.

A link names one payment and nothing else, and lives as long as Refill keeps such a payment open. Whoever holds it may pay
that payment, and learn its amount; it opens no session.
"""

from __future__ import annotations

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

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
