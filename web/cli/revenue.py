"""flask revenue."""

from __future__ import annotations

import datetime as dt

import click

from shared import money
from shared.ledger import patient
from web.api.revenue import FIGURES, csv_lines
from web.api.statement import month_of
from web.cli.support import Month, guarded
from web.services import services

REVENUE_LIMIT_MS = 600_000


@click.command("revenue")
@click.option("--month", type=Month(), help="such as 2026-11; the current one when left out")
@click.option("--account", "account_id", help="of one account instead of all")
@click.option("--csv", "as_csv", is_flag=True, help="minor units, as CSV")
@guarded
def revenue(month: dt.date | None, account_id: str | None, as_csv: bool) -> None:
    """Prints deferred revenue and breakage of a month, by currency and kind of sale."""
    with patient(services().settings, REVENUE_LIMIT_MS) as ledger:
        found = ledger.get_revenue(month or month_of(None), account_id)
    if as_csv:
        for line in csv_lines(found):
            click.echo(line, nl=False)
        return
    state = "" if found["is_final"] else "  (so far)"
    click.echo(f"{found['month']}  {found['account_id'] or 'all accounts'}{state}")
    for total in found["currencies"]:
        rows = [*total["kinds"], {**total, "kind": f"all, {total['currency']}"}]
        click.echo(f"{'':10}" + "".join(f"{row['kind']:>16}" for row in rows))
        for name in FIGURES:
            cells = (money.to_text(row[name], total["currency"]) for row in rows)
            click.echo(f"{name:10}" + "".join(f"{cell:>16}" for cell in cells))
