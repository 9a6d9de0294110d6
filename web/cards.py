"""Saved cards: adding, choosing, removing at Stripe, and the books brought to that at once. For API and pages."""

from __future__ import annotations

from shared import queue
from shared.customers import with_customer
from shared.errors import Refused
from shared.stripe_cards import CardGateway, follow
from shared.stripe_client import StripeRefused
from shared.stripe_facts import StripeData, id_of
from web import purchases
from web.services import Services


def gateway(services: Services) -> CardGateway:
    """Saved payment methods at Stripe."""
    return CardGateway(services.gateway.client)


def begin_setup(services: Services, account_id: str, request_id: str) -> StripeData:
    """A SetupIntent by which a browser saves a card; the same for a repeat of the request."""
    return with_customer(
        services.ledger,
        services.gateway,
        account_id,
        lambda customer_id: gateway(services).create_setup_intent(account_id, customer_id, request_id),
    )


def find_setup(services: Services, account_id: str, intent_id: str) -> StripeData:
    """The account's SetupIntent as it is now. Refused not_found for one of anybody else's."""
    try:
        intent = gateway(services).retrieve_setup_intent(intent_id)
    except StripeRefused:
        raise _not_found() from None
    if (intent.get("metadata") or {}).get("refill_account_id") != account_id:
        raise _not_found()
    return intent


def finish_setup(services: Services, account_id: str, intent: StripeData, actor: str) -> bool:
    """Brings a card that a SetupIntent saved into the books, as its event will; answers whether it is saved."""
    if intent.get("status") != "succeeded":
        return False
    _follow(services, account_id, actor, added=id_of(intent.get("payment_method")))
    return True


def choose(services: Services, account_id: str, method_id: str, actor: str) -> None:
    """Makes a saved card the one that is charged. Refused not_found."""
    customer_id = _customer(services, account_id)
    if gateway(services).holder_of(method_id) != customer_id:
        if services.ledger.find_card_owner(method_id) == account_id:  # the books have a card that is gone
            _follow(services, account_id, actor)
        raise _not_found()
    gateway(services).set_default(customer_id, method_id)
    _follow(services, account_id, actor, adopt=True)


def remove(services: Services, account_id: str, method_id: str, actor: str) -> None:
    """Detaches a card at Stripe for good; a repeat finds it gone, and that is well. Refused not_found."""
    customer_id, cards = _customer(services, account_id), gateway(services)
    holder = cards.holder_of(method_id)
    if holder == customer_id:
        try:
            cards.detach(method_id)
        except StripeRefused:
            if cards.holder_of(method_id) is not None:
                raise
    elif holder is not None or services.ledger.find_card_owner(method_id) != account_id:
        raise _not_found()
    _follow(services, account_id, actor)


def open_portal(services: Services, account_id: str, return_path: str) -> StripeData:
    """A session of Stripe's Billing Portal, which leads back to a path of this server."""
    back = purchases.own_url(services, services.settings.base_url + return_path, "return_path")
    return with_customer(
        services.ledger,
        services.gateway,
        account_id,
        lambda customer_id: gateway(services).create_portal_session(customer_id, str(back)),
    )


def _customer(services: Services, account_id: str) -> str:
    """The account's customer; an account without one has no cards."""
    services.ledger.get_account(account_id)
    customer = services.ledger.get_customer(account_id)
    if customer is None or customer["deleted"]:
        raise _not_found()
    return str(customer["stripe_customer_id"])


def _follow(
    services: Services, account_id: str, actor: str, *, adopt: bool = False, added: str | None = None
) -> None:
    if follow(services.ledger, gateway(services), account_id, actor, adopt=adopt, added=added):
        services.queue.hint(queue.CHECK_THRESHOLD, account_id)


def _not_found() -> Refused:
    return Refused("The account has no such payment method.", code="not_found", status=404)
