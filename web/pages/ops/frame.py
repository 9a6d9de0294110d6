"""What the pages of operators have in common: who gets in, and the navigation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, g, render_template

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
    Section("topups", "/ops/topups", "Top-ups"),
    Section("accounts", "/ops/accounts", "Accounts"),
    Section("adjustments", "/ops/adjustments", "Adjustments"),
    Section("reconciliation", "/ops/reconciliation", "Reconciliation"),
    Section("invariants", "/ops/invariants", "Invariants"),
)


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


def _only_operators() -> None:
    """Refused: unauthenticated (the sign-in page), role_missing for whoever OPERATORS does not name."""
    found = services().sessions.current()
    if found is None:
        raise Refused("Sign in to see this page.", code="unauthenticated", status=401)
    g.actor = f"member:{found['user_id']}"
    if found["user_id"] not in services().settings.operators:
        raise Refused("These pages are for operators.", code="role_missing", status=403)
    g.operator = Person(found["user_id"], found["email"])
