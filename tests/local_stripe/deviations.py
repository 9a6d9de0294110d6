"""Every known difference between the local Stripe and the recorded traffic, each with its reason.

The recordings are of API versions `2023-08-16` to `2026-03-25.dahlia`; the local Stripe speaks the installed SDK's.
"""

from __future__ import annotations

import re
from typing import Any

NOT_RECORDED = "The object was made before the recording began."

COUPON: dict[str, Any] = {
    "id": "", "object": "coupon", "amount_off": None, "created": 0, "currency": None, "duration": "forever",
    "duration_in_months": None, "livemode": False, "max_redemptions": None, "metadata": {}, "name": "Half Off",
    "percent_off": 50.0, "redeem_by": None, "times_redeemed": 5, "valid": True,
}  # fmt: skip
CATALOGUE: list[dict[str, Any]] = [
    {
        "id": id,
        "object": "price",
        "product": None,
        "currency": "usd",
        "unit_amount": amount,
        "recurring": {"interval": interval, "interval_count": 1} if interval else None,
    }
    for id, amount, interval in (
        ("default", 1000, "month"),
        ("small-monthly", 2500, "month"),
        ("small-annual", 25000, "year"),
    )
]
"""The recorded account's prices, where the recording does not show them."""

SKIPPED: list[tuple[str, str]] = [
    (
        r"'(afterpay_clearpay|alipay|bancontact|boleto|eps|fpx|giropay|grabpay|oxxo|p24|sofort|wechat_pay)'",
        "Refill charges off session; these methods cannot be charged without the customer.",
    ),
    (r"'capture_method', 'manual'", "Refill captures at once; the local Stripe has no manual capture."),
    (r"automatic_tax|add_invoice_items", "Refill computes no tax and sells no one-time items with a plan."),
]
EXPLAINED: list[tuple[str, str]] = [
    (r"(^|[ .])(tax|invoice_credit_balance): missing", "Refill never asks for these expansions."),
    (r"latest_charge\.refunds|^get /v1/charges/\S+: refunds", "Refill lists refunds by their own call."),
    (
        r"payment_method_(types|options|configuration_details)",
        "Depends on the payment method settings of the recorded account's Dashboard.",
    ),
    (
        r"\b(destination|dispute|order): missing|^post /v1/subscriptions/\S+: (plan|quantity): missing",
        "Fields of older API versions that this one does not have.",
    ),
    (r"total_count: missing", "`total_count` is no field of lists at this API version."),
    (
        r"branding_settings|integration_identifier|collected_information",
        "Dashboard settings that Refill does not read.",
    ),
    (
        r"balance_transaction: .*Stripe has None",
        "With asynchronous capture Stripe fills the balance transaction seconds later; here it is there at once.",
    ),
    (r"balance_transaction\.status", "Funds are available at once here."),
]


_UNUSED = re.compile(r"^(tax|invoice_credit_balance)$|refunds")
"""Expansions that Refill never asks for: it lists refunds by a call of their own, and computes no tax."""


def skipped(exchange: dict[str, Any]) -> str | None:
    """Why an exchange is not sent at all; None when it is."""
    text = f"{exchange['method']} {exchange['path']} {exchange['params']}"
    return next((reason for pattern, reason in SKIPPED if re.search(pattern, text)), None)


def translated(exchange: dict[str, Any]) -> list[tuple[str, str]]:
    """The parameters as this API version takes them."""
    given = exchange["params"]
    update = exchange["method"] == "post" and exchange["path"].startswith("/v1/subscriptions/")
    return [
        ("billing_cycle_anchor[type]" if update and key == "billing_cycle_anchor" else key, value)
        for key, value in given
        if not (key.startswith("expand") and _UNUSED.search(value))
    ]


def explains(line: str) -> str | None:
    """The reason for a difference; None when there is none."""
    return next((reason for pattern, reason in EXPLAINED if re.search(pattern, line)), None)
