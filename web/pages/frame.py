"""What every billing page has in common: its place in the navigation, the account and balance in the header."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from flask import Blueprint, flash, make_response, redirect, render_template, request
from pydantic import ValidationError
from werkzeug.wrappers import Response

from shared.errors import Refused
from shared.member_models import Role
from web import refusals
from web.fields import Body
from web.pages import errors, visitors
from web.pages.forms import csrf
from web.pages.visitors import Visitor, visitor
from web.services import services

B = TypeVar("B", bound=Body)
MENDABLE = (409, 422)
"""Refusals that a person mends in the form: they are told above it."""


class Section(NamedTuple):
    """One entry of the navigation."""

    name: str
    path: str
    label: str
    role: Role = "member"
    """Who sees it."""


SECTIONS: Final = (
    Section("overview", "/billing", "Overview"),
    Section("buy", "/billing/buy", "Buy"),
    Section("usage", "/billing/usage", "Usage"),
    Section("history", "/billing/history", "History"),
    Section("payments", "/billing/payments", "Payments"),
    Section("cards", "/billing/payment-methods", "Cards"),
    Section("auto-topup", "/billing/auto-topup", "Auto top-up"),
    Section("limits", "/billing/limits", "Limits"),
    Section("plans", "/billing/plans", "Plans"),
    Section("statement", "/billing/statement", "Statement"),
    Section("notices", "/billing/notices", "Notices"),
    Section("members", "/billing/members", "Members", "owner"),
)


def blueprint(name: str) -> Blueprint:
    """A blueprint under /billing whose forms carry a token and whose errors are pages."""
    made = Blueprint(name, __name__, url_prefix="/billing")
    made.before_request(csrf.protect)
    errors.register(made)
    visitors.register(made)
    return made


def page(template: str, section: str, **context: Any) -> str:
    """A page of the account in view. One query for its header, beside those of the session."""
    who = visitor()
    shown = [entry for entry in SECTIONS if who.may(entry.role)]
    return render_template(template, **header(who), section=section, sections=shown, **context)


def action(where: str) -> Callable[[Callable[..., str | Response]], Callable[..., Response]]:
    """Decorates the view of a form. What it answers is told on the page `where`, and so is why it was refused."""

    def decorate(view: Callable[..., str | Response]) -> Callable[..., Response]:
        @functools.wraps(view)
        def run(**params: str) -> Response:
            try:
                said = view(**params)
            except Refused as refusal:
                # Who has left the account is not told so on a page of another one.
                if refusal.status not in MENDABLE or refusal.code == "membership_ended":
                    raise
                flash(refusal.detail, "bad")
                return redirect(where, 303)
            return said if isinstance(said, Response) else told(said, where)

        return run

    return decorate


def shows_refusals(render: Callable[[], str | Response]) -> Callable[..., Callable[..., Response]]:
    """Decorates the view of a form that calls Stripe: a definitive refusal of Stripe is shown, with its status, on the page
    that `render` makes, which is the one with the form.
    """

    def decorate(view: Callable[..., Response]) -> Callable[..., Response]:
        @functools.wraps(view)
        def run(**params: str) -> Response:
            try:
                return view(**params)
            except refusals.DEFINITIVE as error:
                refusal = refusals.answered(error)
            flash(refusal.detail, "bad")
            page = make_response(render())
            page.status_code = refusal.status
            return page

        return run

    return decorate


def told(said: str, where: str) -> Response:
    """On to a page that tells what happened."""
    flash(said, "good")
    return redirect(where, 303)


def filled_in(model: type[B]) -> B:
    """The form's fields by the model of the API, an empty one left out; Refused invalid_request.

    For buttons with hidden fields. What people type is read by `Typed`, and shown again with what is wrong at each field.
    """
    given = {name: text for name in model.model_fields if (text := request.form.get(name, "").strip())}
    try:
        return model.model_validate(given, strict=False)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0] if error.errors()[0]["loc"] else "form").replace("_", " ")
        raise Refused(
            f"Look at the field “{name}” again: it is missing, or not of the right form.",
            code="invalid_request",
        ) from None


def part_of() -> Visitor:
    """Who asks for the part of a page that refreshes itself. Refused state_conflict (409) when another window has brought
    another account into view since: the page that asks shows the former one, and loads itself anew.
    """
    who = visitor()
    if request.args.get("account", who.account_id) != who.account_id:
        raise Refused("Another account is in view now.", code="state_conflict", status=409)
    return who


def header(who: Visitor) -> dict[str, Any]:
    """What base.html shows: account and balance."""
    return {
        "account": next(own for own in who.accounts if own["account_id"] == who.account_id),
        "balance": services().ledger.get_balance(who.account_id),
        "refreshed": "part" in request.args,
    }
