"""flask fees: what a charge costs beside the credits."""

from __future__ import annotations

import re
from typing import Any

import click

from shared import money
from shared.currencies import CAP_MAX
from shared.errors import Refused
from web.cli.support import actor, guarded, ledger

_PERCENT = re.compile(r"\d{1,3}(\.\d{1,4})?", re.ASCII)


class Percent(click.ParamType[str]):
    """A percentage such as 2.9, with at most four decimals."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See click.ParamType.convert."""
        if _PERCENT.fullmatch(str(value)) is None:
            self.fail("a percentage such as 2.9, with at most four decimals", param, ctx)
        return str(value)


@click.group()
def fees() -> None:
    """Fees and taxes that are charged beside credits."""


@fees.command("list")
@guarded
def list_fees() -> None:
    """Every rule, in the order in which charges show them."""
    for rule in ledger().list_fee_rules():
        state = "" if rule["active"] else "  (off)"
        fixed = money.to_text(rule["fixed"], rule["currency"]) if rule["currency"] else rule["fixed"]
        click.echo(
            f"{rule['id']}  {rule['kind']}  {rule['percent']} % + {fixed}  {rule['currency'] or 'every currency'}  "
            f"{rule['applies_to']}  {rule['label']}{state}"
        )


@fees.command("set")
@click.argument("rule_id")
@click.option("--kind", type=click.Choice(["fee", "tax"]), required=True)
@click.option("--label", required=True, help="what the customer reads, such as VAT 20 %")
@click.option("--applies-to", type=click.Choice(["purchase", "topup", "both"]), default="both")
@click.option("--currency", help="of charges in this currency only, such as usd")
@click.option("--percent", type=Percent(), default="0", help="a tax's: of credits and fees")
@click.option("--fixed", type=click.IntRange(0, CAP_MAX), default=0, help="minor units of the currency")
@click.option("--off", is_flag=True, help="keep the rule and do not charge it")
@guarded
def set_fee(rule_id: str, off: bool, **rule: Any) -> None:
    """Makes or changes a rule, for charges from now on; what is open already stays as it is."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", rule_id, re.ASCII) is None:
        raise Refused("A rule's id has up to 64 letters, digits and _.-", code="invalid_value")
    if rule["currency"] is not None and re.fullmatch(r"[a-z]{3}", rule["currency"], re.ASCII) is None:
        raise Refused("A currency is written as usd.", code="invalid_value")
    made = ledger().set_fee_rule({"id": rule_id, "active": not off, **rule}, actor())
    click.echo(f"{made['id']} is {'on' if made['active'] else 'off'}")


@fees.command("remove")
@click.argument("rule_id")
@guarded
def remove_fee(rule_id: str) -> None:
    """Removes a rule. Charges keep the lines that they were opened with."""
    click.echo(f"{ledger().remove_fee_rule(rule_id, actor())['id']} is removed")
