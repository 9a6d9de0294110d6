"""What an account will be charged for a purchase, and all that it was charged."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from web.api.billing import may_pay, pay_url
from web.api.catalogue import charged
from web.api.queries import AccountQuery, Page, PageQuery, account_of
from web.endpoints import Call, Endpoint
from web.fields import Answer, Charged, CreditsOut, MoneyOut, Text


class QuoteQuery(AccountQuery):
    """What would be bought."""

    package_id: Text
    quantity: Annotated[int, Field(ge=1, le=1000, strict=False)] = 1


class PurchaseQuote(Charged):
    """What a purchase comes to now."""

    package_id: str
    quantity: int
    credits: CreditsOut


class ReversalOut(Answer):
    """A refund or a dispute. is_taken: the money went back, or is going; is_open: a dispute that is not decided yet."""

    id: str
    kind: Literal["refund", "dispute"]
    amount: int
    status: str
    is_taken: bool
    is_open: bool
    reason: str | None
    occurred_at: str


class ChargeOut(Answer):
    """A payment of credits, or an invoice of Stripe. `credits`: what it grants or granted."""

    id: str
    kind: Literal["purchase", "topup", "invoice"]
    status: str
    reason: str | None
    number: str | None
    total: MoneyOut
    discount: Annotated[MoneyOut, Field(description="What promotion codes took off, known once it is paid.")]
    credits: CreditsOut | None
    receipt_url: str | None
    hosted_url: str | None
    pdf_url: str | None
    pay_url: Annotated[str | None, Field(description="As in the list of payments.")]
    reversals: list[ReversalOut]
    created_at: str
    paid_at: str | None


class ChargePage(Page):
    """A page of payments and invoices."""

    data: list[ChargeOut]


@Endpoint(
    "GET",
    "/api/billing/purchase-quote",
    summary="What a purchase comes to",
    tag="billing",
    scope="read",
    member_role="member",
    query=QuoteQuery,
    answer=PurchaseQuote,
    errors=("unknown_account", "account_required", "unknown_package", "invalid_value"),
)
def quote(call: Call) -> Any:
    """Price, fees and taxes of so many of a package, as a purchase at this moment would freeze them."""
    found = call.services.ledger.quote_purchase(account_of(call), call.query.package_id, call.query.quantity)
    return charged(dict(found))


@Endpoint(
    "GET",
    "/api/billing/charges",
    summary="Payments and invoices in one list, newest first",
    tag="billing",
    scope="read",
    member_role="member",
    query=PageQuery,
    answer=ChargePage,
    errors=("unknown_account", "account_required", "not_found"),
)
def charges(call: Call) -> Any:
    """All that was or is to be paid, with refunds and disputes."""
    page = call.services.ledger.list_charges(account_of(call), call.query.limit, call.query.cursor)
    settings, shown = call.services.settings, may_pay(call)
    return {**page, "data": [
        {**row, "total": {"amount": row["amount"], "currency": row["currency"]},
         "discount": {"amount": row["discount"], "currency": row["currency"]},
         "pay_url": pay_url(settings, row) if shown else None} for row in page["data"]]}  # fmt: skip
