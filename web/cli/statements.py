"""flask statement."""

from __future__ import annotations

import datetime as dt

import click

from web.api.statement import csv_lines, month_of
from web.cli.support import Month, guarded, ledger, show


@click.command("statement")
@click.argument("account_id")
@click.option("--month", type=Month(), help="such as 2026-11; the current one when left out")
@click.option("--csv", "as_csv", is_flag=True, help="every entry, as CSV")
@guarded
def statement(account_id: str, month: dt.date | None, as_csv: bool) -> None:
    """Prints the statement of an account's month: opening + entries = closing, by kind and by lot."""
    month = month or month_of(None)
    found = ledger().get_statement(account_id, month)
    if not as_csv:
        show(found)
        return
    for line in csv_lines(ledger(), account_id, month):
        click.echo(line, nl=False)
