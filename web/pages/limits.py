"""Limits of departments, members and agents, and the work that holds credits now."""

from __future__ import annotations

from typing import get_args

from flask import request
from werkzeug.wrappers import Response

from shared import credits
from shared.errors import Refused
from web.api.limits import LimitSetting, Scope, Window
from web.pages import frame
from web.pages.visitors import visitor
from web.services import services

PATH = "/billing/limits"
HOLDS_SHOWN = 50

blueprint = frame.blueprint("limits")


@blueprint.get("/limits")
def show() -> str:
    """Every limit with what is used and held of it, and the open holds, the newest first."""
    account_id, ledger = visitor().account_id, services().ledger
    cursor = request.args.get("cursor") or None
    return frame.page(
        "billing/limits.html",
        "limits",
        limits=ledger.list_limits(account_id),
        holds=ledger.list_holds(account_id, HOLDS_SHOWN, cursor, "open"),
        scopes=get_args(Scope),
        windows=get_args(Window),
    )


@blueprint.post("/limits")
@frame.action(PATH)
def put() -> str | Response:
    """Sets a limit, or changes the one of the same scope and window."""
    who, setting = visitor("admin"), frame.filled_in(LimitSetting, credits=_allowed())
    services().ledger.set_limit(who.account_id, setting.model_dump(exclude={"account_id"}), who.actor)
    effect = (
        "Work that would pass it is refused." if setting.hard else "Passing it is announced, not refused."
    )
    return f"The limit of {setting.scope} {setting.scope_id} a {setting.window} is set. {effect}"


@blueprint.post("/limits/remove")
@frame.action(PATH)
def remove() -> str | Response:
    """Removes a limit."""
    who, setting = visitor("admin"), frame.filled_in(LimitSetting)
    removed = setting.model_dump(exclude={"account_id"}) | {"credits": None}
    services().ledger.set_limit(who.account_id, removed, who.actor)
    return f"The limit of {setting.scope} {setting.scope_id} a {setting.window} is removed."


@blueprint.post("/limits/holds/release")
@frame.action(PATH)
def release() -> str | Response:
    """Gives back what running work holds, and what its parts hold."""
    who, hold_id = visitor("admin"), request.form.get("hold_id", "").replace("\0", "")
    services().ledger.release_hold(who.account_id, hold_id)
    return f"{hold_id} holds nothing any more. What it was charged so far stays charged."


def _allowed() -> str:
    try:
        return credits.to_text(credits.from_text(request.form.get("credits", "")))
    except ValueError as error:
        raise Refused(f"Write {error}.") from None
