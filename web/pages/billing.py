"""The billing page: what the account has, its statement, switching accounts, signing out."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from flask import redirect, render_template, request
from werkzeug.wrappers import Response

from shared.errors import Refused
from web.api.periods import days_of
from web.api.statement import csv_lines, month_of
from web.pages import frame, usage
from web.pages.movements import explained
from web.pages.visitors import visitor
from web.services import services

MOVEMENTS_SHOWN = 8

blueprint = frame.blueprint("billing")


@blueprint.get("")
def overview() -> str:
    """What is left, what is charged next, the last movements, who used it, packages."""
    account_id, by = visitor().account_id, usage.dimension_of(request.args.get("by"))
    first, last = days_of(None, None)
    used = services().ledger.usage_summary(account_id, first, last, ("day", by))
    return frame.page(
        "billing/overview.html",
        "overview",
        **_state(account_id),
        used=used,
        by=by,
        by_day=usage.by_day(used["groups"]["day"]),
        by_name=usage.by_name(used["groups"][by]),
        dimensions=usage.DIMENSIONS,
        packages=services().ledger.list_packages(),
    )


@blueprint.get("/live")
def live() -> str:
    """What of the page changes by itself."""
    who = frame.part_of()
    return render_template(
        "billing/live.html", **frame.header(who) | {"refreshed": True}, **_state(who.account_id)
    )


@blueprint.get("/balance")
def balance() -> str:
    """The balance in the header, which every page keeps current."""
    return render_template("billing/_chip.html", **frame.header(frame.part_of()))


@blueprint.get("/statement")
def statement() -> str:
    """A month to print: opening, what moved by kind and by lot, closing."""
    account_id, month = visitor().account_id, _month()
    shown = services().ledger.get_statement(account_id, month)
    former = month - dt.timedelta(days=1)
    return frame.page(
        "billing/statement.html",
        "statement",
        statement=shown,
        title=f"{month:%B %Y}",
        former=f"{former:%Y-%m}",
        coming=f"{month + dt.timedelta(days=31):%Y-%m}" if shown["is_final"] else None,
    )


@blueprint.get("/statement.csv")
def statement_csv() -> Response:
    """Every entry of the month."""
    account_id, month = visitor().account_id, _month()
    return Response(
        csv_lines(services().ledger, account_id, month),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="statement-{month:%Y-%m}.csv"'},
    )


@blueprint.post("/account")
def switch() -> Response:
    """Brings another of the person's accounts into view; with `payment`, what became of that one, and the ways on."""
    wanted = request.form.get("account_id", "")
    if wanted not in {account["account_id"] for account in visitor().accounts}:
        raise Refused("There is no such account.", code="unknown_account", status=404)
    services().sessions.switch(wanted)
    if payment_id := request.form.get("payment"):
        return redirect("/billing/failure?" + urlencode({"payment": payment_id}), 303)
    return redirect("/billing", 303)


@blueprint.post("/sign-out")
def sign_out() -> Response:
    """Ends the session, at Supabase too."""
    services().sessions.close()
    return redirect("/sign-in", 303)


def _month() -> dt.date:
    try:
        return month_of(request.args.get("month"))
    except ValueError:
        raise Refused("A month is written like 2026-11.") from None


def _state(account_id: str) -> dict[str, Any]:
    ledger = services().ledger
    return {
        "entries": [
            (row, explained(row))
            for row in ledger.list_transactions(account_id, MOVEMENTS_SHOWN, None)["data"]
        ],
        "subscription": ledger.get_subscription(account_id),
        "section_paths": {entry.name: entry.path for entry in frame.SECTIONS},
        "card": (ledger.get_customer(account_id) or {}).get("card"),
    }
