"""flask migrate, check, events, topups."""

from __future__ import annotations

import sys

import click

from shared import migrate as schema
from shared import queue
from shared.ledger import patient
from web import topups as automatic
from web.cli.support import actor, guarded, ledger, show
from web.services import services

# The checks read the whole ledger.
CHECKS_LIMIT_MS = 3_600_000


@click.command("migrate")
@guarded
def migrate() -> None:
    """Brings the database to the schema of this version."""
    url = services().settings.database_url
    if url is None:
        raise click.ClickException("set DATABASE_URL: the schema is applied over a direct connection")
    try:
        schema.apply(url.get_secret_value(), report=click.echo)
    except schema.MigrationError as error:
        raise click.ClickException(str(error)) from error


@click.command("check")
@guarded
def check() -> None:
    """Checks the books; exit status 1 when an invariant does not hold."""
    with patient(services().settings, CHECKS_LIMIT_MS) as checking:
        violations = checking.check_invariants()
    for violation in violations:
        click.echo(
            f"VIOLATED {violation['invariant']}: {violation['violations']}, such as {violation['examples']}"
        )
    if violations:
        sys.exit(1)
    click.echo("All invariants hold.")


@click.group()
def events() -> None:
    """Events that Stripe sent."""


@events.command("list")
@click.option("--state", type=click.Choice(["received", "done", "ignored", "parked"]))
@click.option("--limit", default=20, type=click.IntRange(1, 1000))
@guarded
def list_events(state: str | None, limit: int) -> None:
    """The newest events."""
    for event in ledger().list_stripe_events(state, limit):
        reason = event["reason"] or ""
        click.echo(f"{event['received_at']}  {event['state']:8} {event['id']}  {event['type']}  {reason}")


@events.command("replay")
@click.argument("event_ids", nargs=-1, required=True)
@guarded
def replay_events(event_ids: tuple[str, ...]) -> None:
    """Makes finished or parked events due again."""
    for event_id in event_ids:
        ledger().replay_stripe_event(event_id, actor())
        services().queue.hint(queue.PROCESS_EVENT, event_id)
        click.echo(f"{event_id} is due again")


@click.group()
def topups() -> None:
    """Automatic charges."""


@topups.command("list")
@click.option("--account", "account_id")
@click.option("--state")
@click.option("--limit", default=20, type=click.IntRange(1, 1000))
@guarded
def list_topups(account_id: str | None, state: str | None, limit: int) -> None:
    """The newest top-ups."""
    for topup in ledger().list_topups(account_id, state, limit):
        click.echo(
            f"{topup['created_at']}  {topup['state']:15} {topup['id']}  {topup['account_id']}  "
            f"{topup['amount']} {topup['currency']}  {topup['reason'] or ''}"
        )


@topups.command("cancel")
@click.argument("topup_id")
@guarded
def cancel_topup(topup_id: str) -> None:
    """Cancels a top-up that has not been charged."""
    click.echo(automatic.cancel(services(), topup_id, actor()))


@topups.command("resume")
@click.argument("account_id")
@guarded
def resume_topups(account_id: str) -> None:
    """Lifts the pause of an account's auto top-up."""
    state = automatic.resume(services(), account_id, actor())
    show({name: state[name] for name in ("enabled", "paused_reason", "next_attempt_at")})
