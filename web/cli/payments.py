"""flask payments."""

from __future__ import annotations

import click

from shared import money, queue
from web.cli.support import actor, guarded, ledger
from web.services import services


@click.group()
def payments() -> None:
    """Payments of every account; what becomes of those that are parked."""


@payments.command("list")
@click.option(
    "--state",
    type=click.Choice(["open", "processing", "succeeded", "failed", "canceled", "parked", "closed"]),
)
@click.option("--limit", default=20, type=click.IntRange(1, 1000))
@guarded
def list_payments(state: str | None, limit: int) -> None:
    """The newest payments."""
    for row in ledger().list_recent_payments(state, limit):
        click.echo(
            f"{row['created_at']}  {'closed' if row['closed_at'] else row['status']:10} {row['id']}  {row['account_id']}  "
            f"{money.to_text(row['amount'], row['currency'])}  {row['stripe_payment_intent_id'] or ''}  "
            f"{row['reason'] or ''}"
        )


@payments.command("check")
@click.argument("payment_id")
@guarded
def check_payment(payment_id: str) -> None:
    """Has Stripe asked again what became of a payment."""
    ledger().recheck_payment(payment_id, actor())
    services().queue.hint(queue.CHECK_PAYMENT, payment_id)
    click.echo(f"{payment_id} is looked at again")


@payments.command("close")
@click.argument("payment_id")
@click.option("--note", required=True, help="what becomes of the money; kept in the audit log")
@guarded
def close_payment(payment_id: str, note: str) -> None:
    """Decides that a parked payment is never granted."""
    ledger().close_payment(payment_id, note, actor())
    click.echo(f"{payment_id} is closed: nothing grants it any more")
