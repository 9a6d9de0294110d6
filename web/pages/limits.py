"""Limits of departments, members and agents, and the work that holds credits now."""

from __future__ import annotations

from typing import get_args

from flask import make_response, request
from werkzeug.wrappers import Response

from shared import credits
from web.api.limits import LimitSetting, Scope, Window
from web.api.periods import days_of
from web.pages import frame
from web.pages.typed import Typed, some_credits
from web.pages.visitors import visitor
from web.services import services

PATH = "/billing/limits"
HOLDS_SHOWN = 50
SEEN_MAX = 100
FIELDS = ("scope", "scope_id", "window", "credits", "hard")
SENTENCES = {"scope_id": "Write the name or id that usage carries: 1 to 255 printable characters."}

blueprint = frame.blueprint("limits")


@blueprint.get("/limits")
def show() -> str:
    """Every limit with what is used and held of it, and the open holds, the newest first."""
    return _page(visitor().account_id)


@blueprint.post("/limits")
@frame.action(PATH)
def put() -> str | Response:
    """Sets a limit, or changes the one of the same scope and window."""
    who, form = visitor("admin"), Typed.of(request.form, FIELDS)
    form.chosen("scope", get_args(Scope))
    form.chosen("window", get_args(Window))
    form.chosen("hard", ("true", "false"))
    micro = form.read("credits", some_credits)
    setting = form.checked(LimitSetting, SENTENCES, credits=credits.to_text(micro or credits.MICRO))
    if setting is None:
        return make_response(_page(who.account_id, form), 422)
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


def _page(account_id: str, form: Typed | None = None) -> str:
    """The page; with a form that was refused, at the limit that it changes, else among the new ones."""
    ledger = services().ledger
    limits = ledger.list_limits(account_id)
    sent = form and tuple(form.values[name] for name in ("scope", "scope_id", "window"))
    changes = request.form.get("change") and any(
        sent == (limit["scope"], limit["scope_id"], limit["window"]) for limit in limits
    )
    return frame.page(
        "billing/limits.html",
        "limits",
        limits=limits,
        holds=ledger.list_holds(account_id, HOLDS_SHOWN, request.args.get("cursor") or None, "open"),
        scopes=[(name, name.capitalize()) for name in get_args(Scope)],
        windows=[(name, name.capitalize()) for name in get_args(Window)],
        seen=_seen(account_id) if visitor().may("admin") else [],
        form=None if changes else form,
        changed=(sent, form) if changes else None,
    )


def _seen(account_id: str) -> list[tuple[str, str]]:
    """Names that usage of the last 30 days carried, each with what it is of: a limit of any other binds nobody so far."""
    scopes = get_args(Scope)
    used = services().ledger.usage_summary(account_id, *days_of(None, None), scopes, limit=SEEN_MAX)
    return [
        (row["name"], scope.capitalize())
        for scope in scopes
        for row in used["groups"][scope]["data"]
        if row["name"]
    ]
