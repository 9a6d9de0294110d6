"""flask holds, limits, usage."""

from __future__ import annotations

import click

from shared import credits, queue
from web.cli.support import Credits, actor, guarded, ledger, show
from web.dead_letters import dead_letters
from web.services import services


@click.group()
def holds() -> None:
    """Credits that are reserved."""


@holds.command("list")
@click.argument("account_id")
@click.option("--state", type=click.Choice(["open", "settled", "released", "expired"]))
@click.option("--limit", default=20, type=click.IntRange(1, 1000))
@guarded
def list_holds(account_id: str, state: str | None, limit: int) -> None:
    """The newest holds of an account, with what remains of each."""
    for hold in ledger().list_holds(account_id, limit, None, state)["data"]:
        click.echo(
            f"{hold['created_at']}  {hold['state']:8} {hold['id']}  "
            f"{credits.to_text(hold['remaining'])} of {credits.to_text(hold['amount'])}  "
            f"until {hold['expires_at']}  {hold['agent'] or ''}"
        )


@holds.command("release")
@click.argument("account_id")
@click.argument("hold_id")
@guarded
def release_hold(account_id: str, hold_id: str) -> None:
    """Gives back what a hold and its children hold."""
    hold = ledger().release_hold(account_id, hold_id)
    show({name: hold[name] for name in ("id", "state", "settled", "available")})


@click.group()
def limits() -> None:
    """What departments, members and agents may spend."""


@limits.command("list")
@click.argument("account_id")
@guarded
def list_limits(account_id: str) -> None:
    """The limits of an account and what is used of them."""
    for limit in ledger().list_limits(account_id):
        show(limit)


@limits.command("set")
@click.argument("account_id")
@click.argument("scope", type=click.Choice(["department", "member", "agent"]))
@click.argument("scope_id")
@click.argument("window", type=click.Choice(["day", "week", "month"]))
@click.argument("amount", type=Credits(), required=False)
@click.option("--soft", is_flag=True, help="announce, and refuse nothing")
@click.option("--remove", is_flag=True, help="no limit any more")
@guarded
def set_limit(
    account_id: str, scope: str, scope_id: str, window: str, amount: int | None, soft: bool, remove: bool
) -> None:
    """Sets how many credits SCOPE_ID may spend in a WINDOW (UTC; weeks begin on Monday), or removes the limit."""
    if (amount is None) != remove:
        raise click.UsageError("name an AMOUNT, or --remove")
    limit = {"scope": scope, "scope_id": scope_id, "window": window, "credits": amount, "hard": not soft}
    show(ledger().set_limit(account_id, limit, actor()))


@click.group()
def usage() -> None:
    """Usage that could not be booked."""


@usage.command("retried")
@guarded
def list_retried() -> None:
    """Messages on the queue whose booking failed and is tried again, up to 100, those with the most tries first."""
    found = dead_letters(services().settings).retried(queue.USAGE)
    for one in found:
        click.echo(f"{one.id}  sent {one.sent_at}  next {one.next_at}  {one.tries:>4} tries  {one.reason}")
    if not found:
        click.echo("No usage is tried again.")


@usage.command("parked")
@click.option("--limit", default=20, type=click.IntRange(1, 1000))
@guarded
def list_parked(limit: int) -> None:
    """The newest usage that waits for a price, or for an operator."""
    for parked in ledger().list_parked_usage(limit, None)["data"]:
        event = parked["event"]
        click.echo(
            f"{parked['id']}  {parked['created_at']}  {parked['code']}  {parked['account_id']}  "
            f"{parked['event_id']}  {event.get('action') or ''}"
        )


@usage.command("discard")
@click.argument("parked_id", type=int)
@click.option("--reason", required=True, help="why; kept in the audit log")
@guarded
def discard_parked(parked_id: int, reason: str) -> None:
    """Decides that a parked event is never booked."""
    discarded = ledger().discard_parked_usage(parked_id, reason, actor())
    click.echo(f"{discarded['id']} is discarded ({discarded['event_id']} of {discarded['account_id']})")
