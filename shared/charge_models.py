"""The rows of what an account is charged, as the billing pages show it; as in shared/models.py."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from shared.models import ChargeLine


class CustomerRequest(TypedDict):
    """begin_customer: the customer, or what Stripe is to be asked for. since: epoch seconds of the first attempt."""

    stripe_customer_id: str | None
    attempt: int
    name: str
    email: str | None
    since: int
    age_seconds: int


class PurchaseQuote(TypedDict):
    """quote_purchase. amount is what will be charged, lines what it is made of; round: see the SQL file."""

    package_id: str
    name: str
    quantity: int
    credits: int
    net_amount: int
    amount: int
    currency: str
    lines: list[ChargeLine]
    round: int


class TopupPreview(TypedDict):
    """preview_auto_topup. outcome: charge, or why there is none; charge: credits, net_amount, amount, currency, lines.
    least_charge: the smallest that the settings lead to, the same without credits.
    threshold to caps: the settings as they would be saved.
    """

    outcome: str
    until: str | None
    charge: dict[str, Any] | None
    least_charge: dict[str, Any]
    threshold: int
    mode: Literal["fixed", "target"]
    credits: int
    package_id: str | None
    caps: dict[str, Any]


class ConsentRecord(TypedDict):
    """list_auto_topup_consents. The settings are None where none were ever saved."""

    id: int
    actor: str
    enabled: bool
    at: str
    text_version: str | None
    threshold: int | None
    mode: Literal["fixed", "target"] | None
    credits: int | None
    price: dict[str, Any] | None
    """What was agreed to: package_id, credits, amount, currency; charge, the smallest one, of least_credits."""
    caps: dict[str, Any] | None
