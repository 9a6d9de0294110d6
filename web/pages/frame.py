"""What every billing page has in common: its place in the navigation, the account and balance in the header."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from flask import Blueprint, render_template, request

from web.pages import errors, visitors
from web.pages.forms import csrf
from web.pages.visitors import Visitor, visitor
from web.services import services


class Section(NamedTuple):
    """One entry of the navigation."""

    name: str
    path: str
    label: str


SECTIONS: Final = (Section("overview", "/billing", "Overview"),)


def blueprint(name: str) -> Blueprint:
    """A blueprint under /billing whose forms carry a token and whose errors are pages."""
    made = Blueprint(name, __name__, url_prefix="/billing")
    made.before_request(csrf.protect)
    errors.register(made)
    visitors.register(made)
    return made


def page(template: str, section: str, **context: Any) -> str:
    """A page of the account in view. Two queries for its header, beside those of the session.

    A request with `part` gets the part of the page that refreshes itself, where the view has one.
    """
    return render_template(template, **header(visitor()), section=section, sections=SECTIONS, **context)


def header(who: Visitor) -> dict[str, Any]:
    """What base.html shows: account and balance."""
    ledger = services().ledger
    return {
        "account": ledger.get_account(who.account_id),
        "balance": ledger.get_balance(who.account_id),
        "refreshed": "part" in request.args,
    }
