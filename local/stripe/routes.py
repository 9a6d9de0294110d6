"""Importing this module registers every call that the local Stripe answers."""

from local.stripe.resources import (
    catalogue,
    charges,
    checkout,
    customers,
    events,
    payment_intents,
    payment_methods,
    portal,
    setup_intents,
    subscriptions,
)

MODULES = (
    catalogue,
    charges,
    checkout,
    customers,
    events,
    payment_intents,
    payment_methods,
    portal,
    setup_intents,
    subscriptions,
)
