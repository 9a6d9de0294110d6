"""The subscription to a plan, and Stripe's invoices. Credits are a matter of their own: see the balance."""

from __future__ import annotations

from typing import Any

from web.api.catalogue import with_price
from web.api.queries import AccountQuery, Page, PageQuery, account_of
from web.endpoints import Call, Endpoint
from web.fields import Answer, CreditsOut, MoneyOut


class SubscriptionOut(Answer):
    """A subscription as Stripe has it; `status` is Stripe's word. Plan, price and credits are the catalogue's of now."""

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
    price: MoneyOut
    interval: str
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
    return {"subscription": None if found is None else with_price(dict(found))}


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


def _with_money(row: dict[str, Any]) -> dict[str, Any]:
    amounts = {
        name: {"amount": row[name], "currency": row["currency"]} for name in ("amount_due", "amount_paid")
    }
    return {**row, **amounts}
