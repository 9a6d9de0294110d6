"""Pages of Stripe's lists, for reconciliation: a hundred objects a read, newest first.

Each page is read anew from where the last one ended, so that memory stays that of one page however long the window is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import stripe

from shared.stripe_client import translated
from shared.stripe_facts import StripeData

PAGE: Final = 100

Kind = Literal[
    "customers",
    "payments",
    "sessions",
    "refunds",
    "disputes",
    "subscriptions",
    "lasting",
    "invoices",
    "setups",
    "events",
]

# Beside window and paging. Parts that are expanded spare a read for each payment.
_QUERIES: Final[dict[Kind, StripeData]] = {
    "customers": {},
    "payments": {"expand": ["data.latest_charge", "data.payment_method"]},
    # Complete ones have a PaymentIntent, and open ones have not been paid.
    "sessions": {"status": "expired"},
    "refunds": {},
    "disputes": {},
    "subscriptions": {"status": "all"},
    # Without a status Stripe leaves out those that have ended (docs.stripe.com/api/subscriptions/list).
    "lasting": {},
    "invoices": {},
    "setups": {},
    "events": {},
}
# What changes for as long as it lives is listed whole, whenever it was made.
_WITHOUT_WINDOW: Final = frozenset({"lasting"})
# So many types may be asked for at once (docs.stripe.com/api/events/list).
TYPES_MAX: Final = 20
# Stripe keeps events for so long (the same page).
EVENTS_KEPT: Final = dt.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Page:
    """Objects, and the id after which the next page begins; None when this is the last one."""

    items: list[StripeData]
    after: str | None


def read_page(
    client: stripe.StripeClient,
    kind: Kind,
    since: dt.datetime,
    until: dt.datetime,
    after: str | None,
    types: Sequence[str] = (),
) -> Page:
    """The next page of a list; errors as shared.stripe_client. One read. types: of events."""
    query: dict[str, Any] = {"limit": PAGE, **_QUERIES[kind]}
    if types:
        query["types"] = list(types)
    if kind not in _WITHOUT_WINDOW:
        query["created"] = {"gte": int(since.timestamp()), "lt": int(until.timestamp()) + 1}
    if after is not None:
        query["starting_after"] = after
    with translated():
        found = _lists(client, kind).list(query)
        items = [item.to_dict() for item in found.data]
    return Page(items, items[-1]["id"] if found.has_more and items else None)


def _lists(client: stripe.StripeClient, kind: Kind) -> Any:
    v1 = client.v1
    services: dict[Kind, Any] = {
        "customers": v1.customers,
        "payments": v1.payment_intents,
        "sessions": v1.checkout.sessions,
        "refunds": v1.refunds,
        "disputes": v1.disputes,
        "subscriptions": v1.subscriptions,
        "lasting": v1.subscriptions,
        "invoices": v1.invoices,
        "setups": v1.setup_intents,
        "events": v1.events,
    }
    return services[kind]
