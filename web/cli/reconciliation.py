"""flask reconcile, differences."""

from __future__ import annotations

import datetime as dt
import re
import sys
import time

import click

from shared import keys, queue
from shared.reconciliation_models import Reconciliation
from web.cli.support import actor, guarded, ledger, show
from web.services import services

POLL_SECONDS = 0.5
# Longer than a busy worker needs to take a message up.
PATIENCE_SECONDS = 30
_SPAN = re.compile(r"([1-9][0-9]{0,5})([mhd])", re.ASCII)
DIFFERENT, INCOMPLETE = 1, 2
_LISTED = (
    "customers", "payments", "refunds", "disputes", "subscriptions", "invoices", "saved cards", "checkouts", "events",
)  # fmt: skip
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Since(click.ParamType[dt.datetime]):
    """An ISO 8601 time (UTC unless it says otherwise), or how long ago: 90m, 24h, 7d."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """See click.ParamType.convert."""
        text = str(value)
        if span := _SPAN.fullmatch(text):
            return dt.datetime.now(dt.UTC) - dt.timedelta(**{_UNITS[span[2]]: int(span[1])})
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            self.fail("write 24h, 7d, or a time such as 2026-11-20T08:00:00Z", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


@click.command("reconcile")
@click.option("--since", required=True, type=Since(), help="24h, 7d, or an ISO 8601 time")
@click.option("--until", type=Since(), help="the same; now, if left out")
@guarded
def reconcile(since: dt.datetime, until: dt.datetime | None) -> None:
    """Compares the books with Stripe since a time, and mends what differs.

    A worker does it; this command shows how far it is. Exit status 0: both agree. 1: differences are left that a person
    must settle. 2: the run failed, or could not look at everything.
    """
    run_id = keys.new_id("rec")
    ledger().open_reconciliation(run_id, since.isoformat(), until.isoformat() if until else None)
    services().queue.enqueue(queue.RECONCILE, run_id)
    click.echo(f"{run_id} since {since:%Y-%m-%d %H:%M:%S %Z}")
    run = _follow(run_id)
    click.echo(
        ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(run["counts"].items()))
    )
    if run.get("differences"):
        _list(all_of_them=False)
    sys.exit(_say(run))


def _say(run: Reconciliation) -> int:
    """The last sentence, and the exit status that goes with it."""
    compared = (
        f"Compared since {run['since'][:19]}: {', '.join(_LISTED)}, and what the books have as not final."
    )
    if run["state"] == "failed":
        click.echo(f"The run failed: {run['reason']}. Stripe and the books were not compared as a whole.")
        return INCOMPLETE
    if run["not_compared"]:
        click.echo(compared)
        for missing in run["not_compared"]:
            click.echo(f"  not compared: {missing['what'].replace('_', ' ')}, {missing['reason']}")
        unreadable = run["counts"].get("unreadable", 0)
        read = f" {unreadable} objects could not be read." if unreadable else ""
        click.echo(f"Incomplete: it was not possible to look at everything.{read}")
        return INCOMPLETE
    if run.get("differences"):
        click.echo(f"{compared} {run['differences']} differences are left.")
        return DIFFERENT
    click.echo(f"{compared} Stripe and the books agree.")
    return 0


def _follow(run_id: str) -> Reconciliation:
    shown, still_since = "", time.monotonic()
    while True:
        run = ledger().get_reconciliation(run_id)
        if run is None:
            raise click.ClickException("the run is gone")
        if run["state"] != "running":
            return run
        progress = f"  {run['step']}: {run['counts'].get(run['step'], 0)} compared"
        if progress != shown:
            click.echo(progress)
            shown, still_since = progress, time.monotonic()
        elif time.monotonic() - still_since > PATIENCE_SECONDS:
            click.echo("  nothing moves: is `python -m workers worker` running? Its log says why.", err=True)
            still_since = time.monotonic()
        time.sleep(POLL_SECONDS)


@click.group()
def differences() -> None:
    """What Stripe and the books say differently, and no repair could mend."""


@differences.command("list")
@click.option("--all", "all_of_them", is_flag=True, help="settled ones, too")
@guarded
def list_differences(all_of_them: bool) -> None:
    """The newest differences."""
    _list(all_of_them=all_of_them)


@differences.command("dismiss")
@click.argument("difference_id", type=int)
@click.option("--note", required=True, help="why it is settled")
@guarded
def dismiss(difference_id: int, note: str) -> None:
    """Notes that a person has settled a difference."""
    show(ledger().dismiss_difference(difference_id, note, actor()))


def _list(*, all_of_them: bool) -> None:
    rows = ledger().list_differences(1000, all_of_them=all_of_them)
    for row in rows:
        settled = f"  settled: {row['resolution']}" if row["resolved_at"] else ""
        click.echo(
            f"{row['id']:>6}  {row['found_at'][:19]}  {row['kind']:13} {row['subject']}  {row['account_id'] or '-'}  "
            f"{row['reason']}{settled}"
        )
    if not rows:
        click.echo("No differences.")
