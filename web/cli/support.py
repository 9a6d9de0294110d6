"""What the commands share: expected errors as sentences, values, output, the actor's name."""

from __future__ import annotations

import datetime as dt
import functools
import getpass
import json
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import click
from flask.cli import with_appcontext

from shared import credits
from shared.errors import RefillError
from shared.ledger import Ledger
from web import refusals
from web.services import services

P = ParamSpec("P")
R = TypeVar("R")


def guarded(function: Callable[P, R]) -> Callable[P, R]:
    """Runs a command inside the app; our errors become a message and a non-zero status."""

    @with_appcontext
    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except RefillError as raised:
            error = refusals.answered(raised)
            raise click.ClickException(f"{error.detail} ({error.code})") from error

    return run


def ledger() -> Ledger:
    """The app's ledger."""
    return services().ledger


def actor() -> str:
    """Who runs the command, for the audit log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user may have no name
        return "cli"


def show(row: Any) -> None:
    """Prints a row as JSON, with credits as people read them."""
    click.echo(json.dumps(credits.readable(row), indent=2, ensure_ascii=False))


class Credits(click.ParamType[int]):
    """An amount of credits; `signed` allows taking away."""

    name = "credits"

    def __init__(self, *, signed: bool = False) -> None:
        self.signed = signed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click.ParamType.convert."""
        text = str(value)
        negative = self.signed and text.startswith("-")
        try:
            micro = credits.from_json(text[1:] if negative else text)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if micro == 0:
            self.fail("zero changes nothing", param, ctx)
        return -micro if negative else micro


class Month(click.ParamType[dt.date]):
    """A month of UTC, such as 2026-11; its first day."""

    name = "month"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """See click.ParamType.convert."""
        try:
            return dt.datetime.strptime(str(value), "%Y-%m").date()  # noqa: DTZ007  # a month has no zone
        except ValueError:
            self.fail("write a month as 2026-11", param, ctx)
