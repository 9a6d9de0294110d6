"""The form of auto top-up: what the ledger refuses in words for people, and the price that was shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared import currencies, money
from shared.charge_models import TopupPreview
from shared.errors import Refused

_AMOUNT_DIGITS = 15


def in_words(refusal: Refused) -> str:
    """A refusal of settings, as a sentence for the form."""
    if refusal.code == "unknown_package":
        return "The package that sets the price is not on sale any more, so this cannot be saved."

    extra = refusal.extra
    rules = currencies.currency(str(extra.get("currency")))

    def written(amount: Any) -> str:
        return money.to_text(int(amount or 0), rules.code)

    least = written(extra.get("least_charge"))
    smallest, largest = written(extra.get("minimum")), written(extra.get("maximum"))
    sentences = {
        "target_too_low": "Fill up to more than the threshold, or every charge would be followed by another.",
        "currency": "The packages are priced in another currency now: write amounts such as "
        f"{written(rules.day_cap // 2)}.",
        "no_package": f"No package is sold in {rules.code.upper()} any more. Choose another currency.",
        "charge_too_small": f"One charge would be {least}, and less than {smallest} cannot be charged. Add more.",
        "charge_too_large": f"One charge would be more than {largest}, the most that can be charged at once.",
        "no_room": f"One charge is {least} or more, and this leaves no room for it.",
        "month_below_day": "The most in a month cannot be less than the most in a day.",
    }
    return sentences.get(str(extra.get("rule")), "This cannot be used. Write something else.")


def shown(fields: Mapping[str, str]) -> dict[str, Any] | None:
    """The smallest charge that stood beside the box; None when the form does not say."""
    amount = fields.get("shown", "")
    if not (amount.isascii() and amount.isdecimal() and len(amount) <= _AMOUNT_DIGITS):
        return None
    return {"amount": int(amount), "currency": fields.get("shown_in", "")}


def dearer(preview: TopupPreview, fields: Mapping[str, str]) -> bool:
    """Whether what is agreed to costs more than what was shown. Asked before a card is chosen."""
    least, seen = preview["least_charge"], shown(fields)
    return seen is not None and (least["amount"] > seen["amount"] or least["currency"] != seen["currency"])
