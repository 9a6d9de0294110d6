"""What the pages of operators have in common: who gets in, and the navigation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, g, render_template, request

from shared.errors import Refused
from web.adjustments import Operator
from web.pages import errors
from web.pages.forms import csrf
from web.pages.frame import Section
from web.services import services

SECTIONS: Final = (
    Section("overview", "/ops", "Overview"),
    Section("events", "/ops/events", "Events"),
    Section("dead-letters", "/ops/dead-letters", "Dead letters"),
    Section("payments", "/ops/payments", "Payments"),
    Section("topups", "/ops/topups", "Top-ups"),
    Section("usage", "/ops/usage", "Usage"),
    Section("notices", "/ops/notices", "Notices"),
    Section("accounts", "/ops/accounts", "Accounts"),
    Section("adjustments", "/ops/adjustments", "Adjustments"),
    Section("reconciliation", "/ops/reconciliation", "Reconciliation"),
    Section("invariants", "/ops/invariants", "Invariants"),
)
DIGITS_MAX = 18  # a bigint has room for all of them


@dataclass(frozen=True, slots=True)
class Person:
    """An operator who is signed in."""

    user_id: str
    email: str | None

    @property
    def actor(self) -> str:
        """For the audit log."""
        return f"operator:{self.email or self.user_id}"

    @property
    def decides(self) -> Operator:
        """For adjustments."""
        return Operator(f"operator:{self.user_id}", self.actor)


def blueprint(name: str) -> Blueprint:
    """A blueprint under /ops, for operators alone."""
    made = Blueprint(f"ops_{name}", __name__, url_prefix="/ops")
    made.before_request(csrf.protect)
    made.before_request(_only_operators)
    errors.register(made)
    return made


def operator() -> Person:
    """Who looks at the page."""
    found: Person = g.operator
    return found


def page(template: str, section: str, **context: Any) -> str:
    """A page of operators."""
    return render_template(template, operator=operator(), section=section, sections=SECTIONS, **context)


def digits(text: str) -> int | None:
    """A row's number, or None for anything that is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else None


def number(field: str, missing: str) -> int:
    """A row's number of the form; Refused not_found, with this sentence, for anything that is none."""
    found = digits(request.form.get(field, ""))
    if found is None:
        raise Refused(missing, code="not_found", status=404)
    return found


def _only_operators() -> None:
    """Refused: unauthenticated (the sign-in page), role_missing for whoever OPERATORS does not name."""
    found = services().sessions.current()
    if found is None:
        raise Refused("Sign in to see this page.", code="unauthenticated", status=401)
    g.actor = f"member:{found['user_id']}"
    if found["user_id"] not in services().settings.operators:
        raise Refused("These pages are for operators.", code="role_missing", status=403)
    g.operator = Person(found["user_id"], found["email"])
