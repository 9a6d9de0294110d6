"""flask dead-letters."""

from __future__ import annotations

import click

from shared.dead_letters import DeadLetters
from shared.queue import QUEUES
from web.cli.support import guarded
from web.dead_letters import dead_letters as of_broker
from web.services import services


@click.group("dead-letters")
def dead_letters() -> None:
    """Messages that were given up. Redis keeps them for seven days."""


@dead_letters.command("list")
@click.option("--queue", type=click.Choice(QUEUES))
@guarded
def list_letters(queue: str | None) -> None:
    """The dead letters of every queue, or of one, the newest first."""
    for letter in _letters().all(queue):
        click.echo(
            f"{letter.died_at}  {letter.queue:13} {letter.id}  {letter.actor or 'no message'}  {letter.reason or ''}"
        )


@dead_letters.command("requeue")
@click.argument("ids", nargs=-1, required=True)
@guarded
def requeue(ids: tuple[str, ...]) -> None:
    """Puts messages back on their queues, with all their tries before them."""
    letters = _letters()
    for letter_id in ids:
        click.echo(f"{letter_id} is on {letters.requeue(letter_id).queue} again")


@dead_letters.command("delete")
@click.argument("ids", nargs=-1, required=True)
@guarded
def delete(ids: tuple[str, ...]) -> None:
    """Drops messages for good."""
    letters = _letters()
    for letter_id in ids:
        letters.delete(letter_id)
        click.echo(f"{letter_id} is deleted")


def _letters() -> DeadLetters:
    return of_broker(services().settings)
