"""flask usage-months: old months of usage go to a file, and then from the database."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from shared import credits
from shared.errors import Refused
from shared.ledger import Ledger, patient
from web.cli.support import Month, actor, guarded, show
from web.services import services

ROWS_A_PAGE = 5_000
ROWS_A_REPORT = 100_000
# Counting a month of a hundred million rows takes minutes.
COUNT_LIMIT_MS = 3_600_000


@click.group("usage-months")
def usage_months() -> None:
    """Months of usage: what is kept, exporting and dropping old ones."""


@usage_months.command("list")
@guarded
def list_months() -> None:
    """Every month with its events and credits. Counts them, which takes a while when there are many."""
    with patient(services().settings, COUNT_LIMIT_MS) as ledger:
        for row in ledger.usage_months():
            state = "dropped" if row["dropped_at"] else "exported" if row["exported_at"] else "kept"
            amount = credits.to_text(row["credits"])
            click.echo(f"{row['month'][:7]}  {state:8} {row['events']:>12,} events  {amount} credits")


@usage_months.command("export")
@click.argument("month", type=Month())
@click.option("--to", "target", required=True, type=click.Path(path_type=Path, dir_okay=False))
@guarded
def export(month: dt.date, target: Path) -> None:
    """Writes a MONTH that is over to a new file, as gzipped JSON lines, and records what it holds.

    A line is a row of credit_usage; its credits are micro-credits, a million to a credit.
    """
    if target.exists():
        raise click.ClickException(f"{target} exists already; nothing is overwritten")
    with patient(services().settings, COUNT_LIMIT_MS) as ledger, _written(target) as file:
        events, micro_credits = _write(ledger, month, file)
        _replace(file, target)
        try:
            record = ledger.finish_usage_export(month, events, micro_credits, _sha256(target), actor())
        except Refused:
            # After any other error it may have been recorded, so the file stays.
            target.unlink()
            raise
    show({name: record[name] for name in ("month", "events", "credits", "sha256")})


@usage_months.command("drop")
@click.argument("month", type=Month())
@guarded
def drop(month: dt.date) -> None:
    """Deletes the usage of an exported MONTH. Balances, ledger and the ids of its events stay."""
    with patient(services().settings, COUNT_LIMIT_MS) as ledger:
        dropped = ledger.drop_usage_month(month, actor())
    click.echo(
        f"{dropped['month'][:7]} is dropped: {dropped['events']:,} events. SHA-256 {dropped['sha256']}"
    )


@contextlib.contextmanager
def _written(target: Path) -> Iterator[Path]:
    """A new file beside the target, for its owner's eyes, which is gone afterwards unless it became the target."""
    file = target.with_name(f"{target.name}.part")
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise click.ClickException(
            f"{file} exists: another export is under way, or was killed; see to it"
        ) from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
    try:
        yield file
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
    finally:
        file.unlink(missing_ok=True)


def _write(ledger: Ledger, month: dt.date, file: Path) -> tuple[int, int]:
    """Writes every row, a page in memory at a time; answers how many they are and their micro-credits."""
    events = micro_credits = 0
    after: dict[str, Any] | None = None
    # The name and the time of writing would make two exports of one month differ.
    with file.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
        while True:
            page = ledger.read_usage_month(month, after, ROWS_A_PAGE)
            packed.write(
                b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in page["rows"])
            )
            micro_credits += sum(row["credits"] for row in page["rows"])
            before, events = events, events + len(page["rows"])
            if events // ROWS_A_REPORT > before // ROWS_A_REPORT:
                click.echo(f"{events:,} events written", err=True)
            after = page["next"]
            if after is None:
                return events, micro_credits


def _replace(file: Path, target: Path) -> None:
    """Gives the file its name; file and name are on the disk afterwards."""
    _sync(file)
    file.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(file: Path) -> str:
    with file.open("rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest()
