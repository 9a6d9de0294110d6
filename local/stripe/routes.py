"""All calls that the local Stripe answers: importing the resources registers their handlers."""

from __future__ import annotations

from local.stripe.resources import (
    catalogue,
    charges,
    checkout,
    coupons,
    customers,
    events,
    invoices,
    payment_intents,
    payment_methods,
    portal,
    setup_intents,
    subscriptions,
    test_clocks,
)
from local.stripe.routing import ROUTES, Route

MODULES = (
    catalogue,
    charges,
    checkout,
    coupons,
    customers,
    events,
    invoices,
    payment_intents,
    payment_methods,
    portal,
    setup_intents,
    subscriptions,
    test_clocks,
)


def match(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a call and the ids in its path."""
    for candidate in ROUTES:
        found = candidate.pattern.match(path)
        if found and candidate.method == method.lower():
            return candidate, found.groupdict()
    return None
