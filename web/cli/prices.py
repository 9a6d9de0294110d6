"""flask actions: rate cards."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from web.api.rate_cards import PER_MAX
from web.cli.support import Credits, actor, guarded, ledger, show


class Rate(click.ParamType[tuple[str, dict[str, int]]]):
    """DIMENSION=CREDITS/PER, such as input_tokens=3/1000000; PER is 1 unless given."""

    name = "dimension=credits/per"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, dict[str, int]]:
        """See click.ParamType.convert."""
        if isinstance(value, tuple):
            return value
        dimension, _, price = str(value).partition("=")
        amount, slash, per = price.partition("/")
        if not dimension or (slash and not (per.isascii() and per.isdigit() and 0 < int(per) <= PER_MAX)):
            self.fail("a rate is DIMENSION=CREDITS/PER, such as input_tokens=3/1000000", param, ctx)
        credits = Credits().convert(amount, param, ctx)
        return dimension, {"credits": credits, "per": int(per or 1)}


class Instant(click.ParamType[str]):
    """An ISO 8601 time with an offset."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See click.ParamType.convert."""
        try:
            parsed = datetime.fromisoformat(str(value))
        except ValueError:
            parsed = None
        if parsed is None or parsed.tzinfo is None:
            self.fail("a time has an offset, such as 2026-12-01T00:00:00Z", param, ctx)
        return parsed.isoformat()


@click.group()
def actions() -> None:
    """What actions cost."""


@actions.command("set")
@click.argument("action")
@click.argument("price", type=Credits(), required=False)
@click.option("--model", help="for calls whose dimensions name this model")
@click.option("--account", "account_id", help="for this account only")
@click.option("--rate", "rates", type=Rate(), multiple=True, help="repeat for each dimension")
@click.option("--unit", help="what one of quantity is")
@click.option("--description")
@click.option("--from", "effective_from", type=Instant(), help="from then on, instead of from now on")
@click.option("--confirm", is_flag=True, help="mean a price that looks like a slip of the unit")
@guarded
def set_action(
    action: str, price: int | None, rates: tuple[tuple[str, dict[str, int]], ...], **more: Any
) -> None:
    """Sets what ACTION costs: PRICE credits for one of quantity, rates by dimension, or both."""
    by_dimension = dict(rates)
    if len(by_dimension) < len(rates):
        raise click.UsageError("one rate a dimension")
    show(_set(action, more | {"credits": price, "rates": by_dimension or None}))


@actions.command("retire")
@click.argument("action")
@click.option("--model")
@click.option("--account", "account_id")
@click.option("--from", "effective_from", type=Instant(), help="from then on, instead of from now on")
@guarded
def retire_action(action: str, **more: Any) -> None:
    """Ends the price of ACTION: spends are refused, usage waits for a price."""
    show(_set(action, more | {"retire": True}))


@actions.command("list")
@click.option("--account", "account_id", help="this account's own as well")
@click.option("--upcoming", is_flag=True, help="those that are not in force yet as well")
@guarded
def list_actions(account_id: str | None, upcoming: bool) -> None:
    """Lists the rate cards that are in force."""
    for row in ledger().list_actions(account_id, upcoming=upcoming):
        show(row)


def _set(action: str, given: dict[str, Any]) -> dict[str, Any]:
    card = {"action": action} | {name: value for name, value in given.items() if value is not None}
    return ledger().set_action_cost(card, actor())
