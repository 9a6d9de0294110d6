"""The subscription to a plan, and Stripe's invoices. Credits are a matter of their own: see the balance."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from web.api.queries import AccountQuery, Page, PageQuery, account_of
from web.endpoints import Call, Endpoint
from web.fields import Answer, CreditsOut, MoneyOut


class ItemOut(Answer):
    """An item of a subscription as Stripe has it."""

    price_id: str | None
    product_id: str | None
    plan: Annotated[str | None, Field(description="Null: it sells none of the plans, and grants nothing.")]
    quantity: int
    unit_price: Annotated[
        MoneyOut | None, Field(description="Null: the price has no single amount in whole minor units.")
    ]
    interval: str | None
    interval_count: int | None


class NextInvoiceOut(Answer):
    """What Stripe charges next, after the customer's balance at Stripe."""

    amount: Annotated[MoneyOut | None, Field(description="Null: only Stripe knows how much.")]
    discount: Annotated[MoneyOut | None, Field(description="What coupons take off it; null: nothing known.")]
    at: str | None


class SubscriptionOut(Answer):
    """A subscription as Stripe has it: `status`, price, interval and what is charged next are Stripe's. Plan and credits are
    the catalogue's of now.
    """

    id: str
    plan: str
    plan_name: str
    status: str
    quantity: int
    current_period_start: str | None
    current_period_end: str | None
    cancel_at_period_end: bool
    cancel_at: str | None
    started_at: str
    ended_at: str | None
    credits_per_cycle: CreditsOut
    price: Annotated[
        MoneyOut | None, Field(description="Of one unit at Stripe; null: it has no single amount.")
    ]
    price_id: str | None
    interval: str
    interval_count: int
    items: list[ItemOut]
    paused: Annotated[str | None, Field(description="Stripe's pause_collection.behavior.")]
    trial_end: str | None
    next_invoice: Annotated[NextInvoiceOut | None, Field(description="Null: nothing is charged any more.")]
    credits_expire: bool
    rollover_cap: CreditsOut | None


class SubscriptionAnswer(Answer):
    """The account's subscription: the one that goes on, else the newest that ended, else null."""

    subscription: SubscriptionOut | None


class InvoiceOut(Answer):
    """An invoice of Stripe, and how it stands."""

    id: str
    number: str | None
    status: str
    billing_reason: str | None
    subscription_id: str | None
    amount_due: MoneyOut
    amount_paid: MoneyOut
    hosted_url: str | None
    pdf_url: str | None
    period_start: str | None
    period_end: str | None
    occurred_at: str


class InvoicePage(Page):
    """A page of invoices."""

    data: list[InvoiceOut]


@Endpoint(
    "GET",
    "/api/billing/subscription",
    summary="The account's subscription",
    tag="billing",
    scope="read",
    member_role="member",
    query=AccountQuery,
    answer=SubscriptionAnswer,
    errors=("unknown_account", "account_required"),
)
def subscription(call: Call) -> Any:
    """The subscription to a plan, apart from credits: an account keeps them whatever becomes of it."""
    found = call.services.ledger.get_subscription(account_of(call))
    return {"subscription": None if found is None else _subscription(dict(found))}


@Endpoint(
    "GET",
    "/api/billing/invoices",
    summary="Stripe's invoices, newest first",
    tag="billing",
    scope="read",
    member_role="member",
    query=PageQuery,
    answer=InvoicePage,
    errors=("unknown_account", "account_required", "not_found"),
)
def invoices(call: Call) -> Any:
    """Invoices with Stripe's pages for them."""
    page = call.services.ledger.list_invoices(account_of(call), call.query.limit, call.query.cursor)
    return {**page, "data": [_with_money(row) for row in page["data"]]}


def _subscription(row: dict[str, Any]) -> dict[str, Any]:
    currency = row["currency"]
    items = [
        {
            "price_id": item.get("price"),
            "product_id": item.get("product"),
            "unit_price": _money(_whole(item.get("unit_amount")), item.get("currency")),
            "quantity": item.get("quantity") or 1,
            **{name: item.get(name) for name in ("plan", "interval", "interval_count")},
        }
        for item in row["items"] or ()
    ]
    upcoming = row["next_at"] and {
        "amount": _money(row["next_amount"], currency),
        "discount": _money(row["discount_amount"], currency),
        "at": row["next_at"],
    }
    return {**row, "price": _money(row["amount"], currency), "items": items, "next_invoice": upcoming}


def _money(amount: int | None, currency: str | None) -> dict[str, Any] | None:
    return None if amount is None else {"amount": amount, "currency": currency}


def _whole(amount: str | None) -> int | None:
    """A decimal of minor units, when it is a whole number of them."""
    value = None if amount is None else Decimal(amount)
    return int(value) if value is not None and value == value.to_integral_value() else None


def _with_money(row: dict[str, Any]) -> dict[str, Any]:
    amounts = {
        name: {"amount": row[name], "currency": row["currency"]} for name in ("amount_due", "amount_paid")
    }
    return {**row, **amounts}
