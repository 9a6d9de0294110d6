"""What automatic charges cost, and which price was agreed to, as the API shows it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from web.api.catalogue import charged
from web.fields import Answer, Charged, CreditsOut, MoneyOut


class Charge(Charged):
    """The smallest charge that the settings lead to."""

    @model_validator(mode="before")
    @classmethod
    def _from_ledger(cls, row: dict[str, Any]) -> dict[str, Any]:
        return charged(row)


class AgreedPrice(Answer):
    """The price that was agreed to: `price` for `credits`, with the fees and taxes of then."""

    package_id: str
    credits: CreditsOut
    price: MoneyOut
    least_credits: Annotated[CreditsOut, Field(description="The credits of the smallest charge.")]
    charge: Annotated[Charge, Field(description="The smallest charge, as it was shown.")]

    @model_validator(mode="before")
    @classmethod
    def _from_ledger(cls, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "price": {"amount": row["amount"], "currency": row["currency"]}}


class PriceChange(Answer):
    """What `credits` cost now and by the consent, fees and taxes included. `agreed` is null when none was agreed to."""

    credits: CreditsOut
    now: MoneyOut
    agreed: MoneyOut | None

    @model_validator(mode="before")
    @classmethod
    def _from_ledger(cls, row: dict[str, Any]) -> dict[str, Any]:
        agreed = row["agreed_amount"]
        return {
            "credits": row["credits"],
            "now": {"amount": row["amount"], "currency": row["currency"]},
            "agreed": None if agreed is None else {"amount": agreed, "currency": row["currency"]},
        }


class ConsentOut(Answer):
    """Who allowed automatic charges, and at which price."""

    actor: str
    at: str
    text_version: str | None
    price: AgreedPrice | None
