"""What tests about subscriptions share: reading and changing one in a line."""

from __future__ import annotations

from typing import Any

import stripe

Client = stripe.StripeClient


def item(subscription: Any) -> Any:
    return subscription["items"]["data"][0]


def latest(client: Client, subscription: Any) -> stripe.Invoice:
    found = client.v1.subscriptions.retrieve(subscription.id)
    return client.v1.invoices.retrieve(str(found.latest_invoice), {"expand": ["payments"]})


def update(client: Client, subscription: Any, price: str | None = None, **more: Any) -> stripe.Subscription:
    change: Any = dict(more)
    if price or "quantity" in change:
        entry = {"id": item(subscription)["id"], "price": price, "quantity": change.pop("quantity", 1)}
        change["items"] = [{name: value for name, value in entry.items() if value is not None}]
    return client.v1.subscriptions.update(subscription.id, change)


def shape(invoice: Any) -> list[tuple[int, bool, str]]:
    """Amount, proration and the first words of every line."""
    return [
        (
            line.amount,
            line.parent.subscription_item_details.proration,
            " ".join((line.description or "").split()[:2]),
        )
        for line in invoice.lines.data
    ]
