"""What events cost, as far as the client knows: only for what is let through while the service is away."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from refill._values import MICRO, to_micro


class Prices:
    """The public rate cards, and what the service charged this account lately."""

    def __init__(self) -> None:
        self._cards: dict[tuple[str, str | None], Mapping[str, Any]] = {}
        self._charged: dict[str, int] = {}

    def load(self, cards: Iterable[Mapping[str, Any]]) -> None:
        """Everybody's cards, from GET /api/billing/actions."""
        self._cards = {(card["action"], card.get("model")): card for card in cards}
        self._charged.clear()

    def learn(self, event: Mapping[str, Any], credits: str) -> None:
        """What a spend was charged: the account may have a price of its own."""
        if "action" in event and "amount" not in event and "dimensions" not in event:
            self._charged[event["action"]] = math.ceil(to_micro(credits) / event.get("quantity", 1))

    def cost(self, event: Mapping[str, Any]) -> int | None:
        """Micro-credits; None when it is not known."""
        if "amount" in event:
            return to_micro(event["amount"])
        action, dimensions = event["action"], event.get("dimensions") or {}
        quantity: int = event.get("quantity", 1)
        charged = self._charged.get(action)
        if charged is not None and not dimensions:
            return charged * quantity
        model = dimensions.get("model")
        card = self._cards.get((action, model)) or self._cards.get((action, None))
        if card is None:
            return None
        total = Decimal(card.get("credits") or 0) * quantity
        rates = card.get("rates") or {}
        for name, value in dimensions.items():
            if rates and isinstance(value, (int, float)) and not isinstance(value, bool):
                if name not in rates:
                    return None
                total += Decimal(str(value)) * Decimal(rates[name]["credits"]) / Decimal(rates[name]["per"])
        return math.ceil(total * MICRO)
