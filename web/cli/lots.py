"""flask lots."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click

from shared import credits
from web.api.lots import lot_number
from web.cli.support import actor, guarded, ledger, show


class Expiry(click.ParamType[str]):
    """An ISO 8601 time with an offset, a day of UTC (its beginning), or `never`."""

    name = "expiry"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See click.ParamType.convert."""
        text = str(value)
        if text == "never":
            return text
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            self.fail("write a time as 2027-03-01T12:00:00Z, a day as 2027-03-01, or never", param, ctx)
        if moment.tzinfo is None:
            if len(text) > len("2027-03-01"):
                self.fail("a time needs an offset, such as 2027-03-01T12:00:00Z", param, ctx)
            moment = moment.replace(tzinfo=dt.UTC)
        return moment.isoformat()


@click.group()
def lots() -> None:
    """Single grants of credits."""


@lots.command("list")
@click.argument("account_id")
@click.option("--limit", default=20, type=click.IntRange(1, 1000))
@guarded
def list_lots(account_id: str, limit: int) -> None:
    """The newest lots of an account, with what remains of each."""
    for lot in ledger().list_lots(account_id, limit, None)["data"]:
        click.echo(
            f"lot_{lot['id']}  {lot['created_at']}  {lot['kind']:12} "
            f"{credits.to_text(lot['remaining'])} of {credits.to_text(lot['granted'])}  "
            f"until {lot['expires_at'] or 'never'}  {lot['source']}"
        )


@lots.command("extend")
@click.argument("account_id")
@click.argument("lot_id")
@click.argument("expires_at", type=Expiry())
@click.option("--reason", required=True, help="why; kept in the audit log")
@guarded
def extend_lot(account_id: str, lot_id: str, expires_at: str, reason: str) -> None:
    """Lets LOT_ID, as `lots list` prints it, expire later: at a time, on a day (UTC), or never."""
    try:
        number = lot_number(lot_id)
    except ValueError as error:
        raise click.UsageError(f"LOT_ID is {error}") from None
    until = None if expires_at == "never" else expires_at
    lot = ledger().extend_lot(account_id, number, until, reason, actor())
    show({"id": f"lot_{lot['id']}", **{name: lot[name] for name in ("remaining", "expires_at")}})
