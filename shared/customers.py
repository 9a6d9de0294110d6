"""An account's customer at Stripe: made once, and made again when Stripe does not know it any more."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from shared import stripe_once, stripe_refusals
from shared.charge_models import CustomerRequest
from shared.errors import RefillError, StripeUnavailable
from shared.ledger import Ledger
from shared.stripe_client import StripeGateway
from shared.stripe_errors import StripeRefused

log = logging.getLogger(__name__)
T = TypeVar("T")

# Stripe may forget a key after 24 hours; then the same request makes another customer.
KEY_AGE_MAX_SECONDS: Final = 23 * 3600


def customer_of(ledger: Ledger, gateway: StripeGateway, account_id: str) -> str:
    """The id of the account's customer, made when there is none. Callers at once get the same one.

    Name and address are stored with the attempt before they are sent, so a repeat sends the same under the same key. A saved
    failure is given up only after Stripe was asked whether it has the customer. An address that Stripe refuses is left out,
    and the account is notified. Refused unknown_account; raises what calls to Stripe raise.
    """
    wanted = ledger.begin_customer(account_id)
    for _ in range(stripe_once.ATTEMPTS_MAX):
        if wanted["stripe_customer_id"] is not None:
            return wanted["stripe_customer_id"]
        made, email_refused = _attempt(gateway, account_id, wanted)
        if made is not None:
            linked = ledger.link_customer(account_id, made)
            if linked != made:  # two attempts at once, as in a release: the first that was linked stands
                gateway.discard_customer(made)
            return linked
        wanted = ledger.retry_customer(account_id, wanted["attempt"], email_refused=email_refused)
    raise StripeUnavailable("Stripe makes no customer for the account at the moment")


def with_customer(ledger: Ledger, gateway: StripeGateway, account_id: str, use: Callable[[str], T]) -> T:
    """What `use` makes of the account's customer. When Stripe says that the customer does not exist, it is forgotten and
    `use` gets a new one, once.
    """
    customer_id = customer_of(ledger, gateway, account_id)
    try:
        return use(customer_id)
    except StripeRefused as error:
        if not error.customer_missing:
            raise
        forget(ledger, customer_id)
    return use(customer_of(ledger, gateway, account_id))


def forget(ledger: Ledger, customer_id: str) -> None:
    """Stripe does not know the customer any more: see ledger.forget_customer."""
    account_id = ledger.forget_customer(customer_id)
    if account_id is not None:
        log.warning("customer forgotten", extra={"account": account_id, "customer": customer_id})


def _attempt(gateway: StripeGateway, account_id: str, wanted: CustomerRequest) -> tuple[str | None, bool]:
    """The customer of one attempt; or None when the attempt is over, and whether for its address."""
    if wanted["age_seconds"] > KEY_AGE_MAX_SECONDS:
        return gateway.find_customer(account_id, wanted["since"]), False
    try:
        made = gateway.ensure_customer(account_id, wanted["name"], wanted["email"], attempt=wanted["attempt"])
    except RefillError as error:
        if wanted["email"] and _refuses_email(error):
            return None, True
        if not stripe_once.is_bound(error):
            raise
        return gateway.find_customer(account_id, wanted["since"]), False
    return made, False


def _refuses_email(error: RefillError) -> bool:
    return isinstance(error, StripeRefused) and error.refusal is stripe_refusals.INVALID_EMAIL
