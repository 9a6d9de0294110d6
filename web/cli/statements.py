"""flask statement."""

from __future__ import annotations

import datetime as dt

import click

from web.api.statement import csv_lines, month_of
from web.cli.support import guarded, ledger, show


class Month(click.ParamType[dt.date]):
    """A month such as 2026-11."""

    name = "month"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """The month's first day."""
        if isinstance(value, dt.date):
            return value
        try:
            return month_of(str(value))
        except ValueError:
            self.fail("a month such as 2026-11", param, ctx)


@click.command("statement")
@click.argument("account_id")
@click.option("--month", type=Month(), default=lambda: month_of(None), help="such as 2026-11; now by default")
@click.option("--csv", "as_csv", is_flag=True, help="every entry, as CSV")
@guarded
def statement(account_id: str, month: dt.date, as_csv: bool) -> None:
    """Prints the statement of an account's month: opening + entries = closing, by kind and by lot."""
    found = ledger().get_statement(account_id, month)
    if not as_csv:
        show(found)
        return
    for line in csv_lines(ledger(), account_id, month):
        click.echo(line, nl=False)
