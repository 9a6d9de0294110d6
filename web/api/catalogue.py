"""What may be bought. Public: no key needed."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from web.endpoints import Call, Endpoint
from web.fields import Answer, Charged, CreditsOut, MoneyOut


class Package(Charged):
    """Credits on sale."""

    id: str
    name: str
    credits: CreditsOut
    allow_promotion_codes: Annotated[
        bool, Field(description="Checkout asks for a promotion code. A PaymentIntent takes none.")
    ]


class Packages(Answer):
    """The packages on sale."""

    data: list[Package]
    next_cursor: None = None


class Plan(Answer):
    """A subscription that grants credits every cycle."""

    id: str
    name: str
    credits_per_cycle: Annotated[
        CreditsOut,
        Field(
            description="What each paid cycle grants. A plan of amount 0 is that of an account without a subscription:"
            " it has no cycles and grants nothing."
        ),
    ]
    price: MoneyOut
    interval: str
    interval_count: Annotated[int, Field(description="A cycle is this many of `interval`.")]
    grant_interval: Annotated[
        str | None,
        Field(
            description="The credits of a cycle come in equal portions, one each such interval. Null: all at once."
        ),
    ]
    available: Annotated[
        bool,
        Field(
            description="False: its price at Stripe is not this one, and a Checkout is refused as `plan_price_mismatch`."
        ),
    ]
    credits_expire: Annotated[
        bool, Field(description="Whether credits of a cycle end with it, apart from what rolls over.")
    ]
    rollover_cap: Annotated[CreditsOut | None, Field(description="How many of them may be carried over.")]


class Plans(Answer):
    """The plans on offer."""

    data: list[Plan]
    next_cursor: None = None


def with_price(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the catalogue with amount and currency as one price."""
    return {**row, "price": {"amount": row["amount"], "currency": row["currency"]}}


def charged(row: dict[str, Any], net: str = "net_amount", gross: str = "amount") -> dict[str, Any]:
    """A row with a net and a gross amount as price and total."""
    currency = row["currency"]
    return {
        **row,
        "price": {"amount": row[net], "currency": currency},
        "total": {"amount": row[gross], "currency": currency},
    }


@Endpoint("GET", "/api/billing/packages", summary="Credit packages", tag="catalogue", answer=Packages)
def packages(call: Call) -> Any:
    """The packages on sale, smallest first."""
    return {"data": [charged(row, "amount", "total") for row in call.services.ledger.list_packages()]}


@Endpoint("GET", "/api/billing/plans", summary="Subscription plans", tag="catalogue", answer=Plans)
def plans(call: Call) -> Any:
    """The plans on offer."""
    return {"data": [with_price(row) for row in call.services.ledger.list_plans()]}
