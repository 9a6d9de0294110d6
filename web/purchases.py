"""Opening a purchase: the row first, then Stripe. Used by the API and by the page."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from shared import credits
from shared.customers import with_customer
from shared.errors import Refused
from shared.models import Payment
from shared.stripe_cards import CardGateway
from shared.stripe_client import StripeRefused
from shared.stripe_creation import session_end
from web import idempotency
from web.services import Services


def open_checkout(
    services: Services,
    *,
    payment_id: str,
    account_id: str,
    package_id: str,
    quantity: int,
    success_url: str | None,
    cancel_url: str | None,
) -> Payment:
    """The payment with its Checkout Session's address.

    A repeat with the same payment_id answers the same session.
    """
    ledger = services.ledger
    success_url = own_url(services, success_url, "success_url") or _page(services, "success", payment_id)
    cancel_url = own_url(services, cancel_url, "cancel_url") or _page(services, "failure", payment_id)
    _require_package(services, package_id)

    def open_at(customer_id: str) -> Payment:
        payment = ledger.open_purchase(payment_id, account_id, package_id, quantity, customer_id)
        if payment["checkout_url"]:
            return _payable(payment)
        session = services.gateway.create_checkout_session(
            payment,
            customer_id=payment["stripe_customer_id"] or customer_id,
            product_name=f"{credits.to_text(payment['credits'])} credits",
            success_url=success_url,
            cancel_url=cancel_url,
        )
        return ledger.attach_checkout_session(payment_id, session["id"], session["url"])

    return with_customer(ledger, services.gateway, account_id, open_at)


def open_intent(
    services: Services, *, payment_id: str, account_id: str, package_id: str, quantity: int
) -> tuple[Payment, str]:
    """The payment, and the client secret of its PaymentIntent. A repeat with the same payment_id answers the same."""
    ledger, gateway = services.ledger, CardGateway(services.gateway.client)
    _require_package(services, package_id)

    def open_at(customer_id: str) -> tuple[Payment, str]:
        payment = ledger.open_purchase(payment_id, account_id, package_id, quantity, customer_id)
        if (intent_id := payment["stripe_payment_intent_id"]) is not None:
            return _payable(payment), services.gateway.retrieve_intent(intent_id)["client_secret"]
        intent = gateway.create_purchase_intent(
            payment,
            customer_id=payment["stripe_customer_id"] or customer_id,
            description=f"{credits.to_text(payment['credits'])} credits",
            metadata=services.gateway.sealer.metadata_of(payment, payment_id=payment["id"], topup_id=None),
        )
        return ledger.attach_payment_intent(payment_id, intent["id"]), intent["client_secret"]

    return with_customer(ledger, services.gateway, account_id, open_at)


def seconds_left(created_at: str) -> int:
    """How long what was just made for a row can be paid, in seconds."""
    return max(1, session_end(created_at) - int(time.time()))


def _payable(payment: Payment) -> Payment:
    """The payment that a former request has brought to Stripe. Refused idempotency_key_expired when its hour is over."""
    if payment["overdue"]:
        raise idempotency.expired()
    return payment


def give_up(services: Services, payment: Payment) -> bool:
    """Makes sure at Stripe that nobody pays a purchase any more, then closes it; answers whether it is given up now.

    False when it was paid, or is being paid: then its own event tells what became of it.
    """
    gateway, intent_id = services.gateway, payment["stripe_payment_intent_id"]
    if payment["purpose"] != "purchase" or payment["status"] not in ("open", "canceled"):
        return False
    try:
        if payment["stripe_checkout_session_id"] is not None:
            gateway.expire_session(payment["stripe_checkout_session_id"])
        elif intent_id is not None:
            gateway.cancel_intent(intent_id)
    except StripeRefused:
        if not _is_over(services, payment):
            return False
    return (
        services.ledger.fail_payment(payment["id"], "canceled", "buyer_turned_back")["status"] == "canceled"
    )


def _is_over(services: Services, payment: Payment) -> bool:
    """Whether Stripe had closed it before, unpaid."""
    if payment["stripe_checkout_session_id"] is not None:
        session = services.gateway.retrieve_session(payment["stripe_checkout_session_id"])
        return bool(session["status"] == "expired")
    intent = services.gateway.retrieve_intent(str(payment["stripe_payment_intent_id"]))
    return bool(intent["status"] == "canceled")


def _require_package(services: Services, package_id: str) -> None:
    """Before a customer is made for nothing."""
    if not any(package["id"] == package_id for package in services.ledger.list_packages()):
        raise Refused(
            "There is no such package. GET /api/billing/packages lists them.",
            code="unknown_package",
            status=404,
        )


def _page(services: Services, name: str, payment_id: str) -> str:
    return f"{services.settings.base_url}/billing/{name}?payment={payment_id}"


def own_url(services: Services, url: str | None, field: str) -> str | None:
    """A redirect goes to BASE_URL's own pages only: an open redirect would lend our name to others' pages."""
    if url is None:
        return None
    if not _same_origin(url, services.settings.base_url):
        message = f"must be an address below {services.settings.base_url}"
        raise Refused(f"{field} {message}", errors=[{"field": field, "message": message}])
    return url


def _same_origin(url: str, base_url: str) -> bool:
    """Strict: a backslash or a space, which browsers read in another way than urlsplit, is refused."""
    try:
        target, own = urlsplit(url), urlsplit(base_url)
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and "\\" not in url and " " not in url
    return plain and (target.scheme, target.netloc) == (own.scheme, own.netloc)
