"""flask notices, webhooks."""

from __future__ import annotations

import click

from shared import keys, queue, webhook_urls
from shared import notices as topics_of
from web.cli.support import actor, guarded, ledger, show
from web.services import services


@click.group()
def notices() -> None:
    """What accounts, platforms and operators were told."""


@notices.command("list")
@click.option("--state", type=click.Choice(["pending", "sent", "skipped", "failed"]))
@click.option("--limit", default=20, type=click.IntRange(1, 1000))
@guarded
def list_notices(state: str | None, limit: int) -> None:
    """The newest deliveries of notices."""
    for row in ledger().list_notices(state, limit):
        click.echo(
            f"{row['id']}  {row['created_at']}  {row['state']:8} {row['channel']:8} {row['topic']}  "
            f"{row['account_id'] or ''}  {row['endpoint_id'] or ''}  {row['reason'] or ''}"
        )


@notices.command("replay")
@click.argument("delivery_id", type=int, required=False)
@click.option("--failed", is_flag=True, help="all that failed, up to 1,000")
@guarded
def replay(delivery_id: int | None, failed: bool) -> None:
    """Makes a delivery due again, whatever became of it. ID as `notices list` prints it."""
    if (delivery_id is None) != failed:
        raise click.UsageError("name an ID, or --failed")
    due = ledger().replay_notices(delivery_id, actor())
    for number in due:
        services().queue.hint(queue.SEND_NOTICE, number)
    click.echo(f"{len(due)} due again")


@click.group()
def webhooks() -> None:
    """Endpoints of webhooks out."""


@webhooks.command("create")
@click.argument("url")
@click.option("--account", "account_id", help="its notices alone; otherwise those of every account")
@click.option(
    "--topic", "topics", multiple=True, type=click.Choice(topics_of.ACCOUNT_TOPICS), help="several; none: all"
)
@guarded
def create(url: str, account_id: str | None, topics: tuple[str, ...]) -> None:
    """Registers an endpoint and prints its signing secret, once."""
    checked = webhook_urls.check(services().settings, url)
    secret, chosen = keys.new_webhook_secret(), sorted(set(topics)) or None
    made = ledger().create_webhook_endpoint(keys.new_id("whe"), account_id, checked, chosen, secret, actor())
    click.echo(f"{made['id']} is registered. Its signing secret, shown only now:")
    click.echo(secret)


@webhooks.command("list")
@click.option("--account", "account_id")
@guarded
def list_endpoints(account_id: str | None) -> None:
    """Every endpoint, or those of an account."""
    for endpoint in ledger().list_webhook_endpoints(account_id):
        show(endpoint)


@webhooks.command("delete")
@click.argument("endpoint_id")
@guarded
def delete(endpoint_id: str) -> None:
    """Deletes an endpoint; what waits for it is skipped."""
    click.echo(f"{ledger().delete_webhook_endpoint(endpoint_id, None, actor())['id']} is deleted")


@webhooks.command("enable")
@click.argument("endpoint_id")
@guarded
def enable(endpoint_id: str) -> None:
    """Switches an endpoint on that was switched off for its failures."""
    click.echo(f"{ledger().enable_webhook_endpoint(endpoint_id, None, actor())['id']} is on")


@webhooks.command("test")
@click.argument("endpoint_id")
@guarded
def send_test(endpoint_id: str) -> None:
    """Sends webhook.test; `notices list` tells what became of it."""
    delivery = ledger().test_webhook_endpoint(endpoint_id, None, keys.new_id("test"))
    services().queue.hint(queue.SEND_NOTICE, delivery["id"])
    click.echo(f"delivery {delivery['id']} is due")
