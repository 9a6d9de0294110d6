"""The endpoints of the JSON API; importing this package declares them all."""

from web.api import (
    accounts,
    auto_topup,
    billing,
    catalogue,
    credits,
    history,
    holds,
    limits,
    lots,
    members,
    payment_intents,
    payment_methods,
    rate_cards,
    statement,
    subscriptions,
    usage,
)

__all__ = [
    "accounts",
    "auto_topup",
    "billing",
    "catalogue",
    "credits",
    "history",
    "holds",
    "limits",
    "lots",
    "members",
    "payment_intents",
    "payment_methods",
    "rate_cards",
    "statement",
    "subscriptions",
    "usage",
]
