"""Saved cards: the list, adding one with Stripe's form or in the Billing Portal, choosing and removing."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from flask import make_response, redirect, request
from werkzeug.wrappers import Response

from shared import keys
from shared.errors import Refused
from shared.models import PaymentMethod
from web import cards, formats, security
from web.pages import frame, plans
from web.pages.visitors import Visitor, visitor
from web.services import services

HERE = "/billing/payment-methods"

blueprint = frame.blueprint("cards")


@blueprint.get("/payment-methods")
def index() -> str:
    """All saved cards."""
    methods = services().ledger.list_payment_methods(visitor().account_id)
    return frame.page(
        "billing/cards.html",
        "cards",
        methods=[{**method, "expiry": _expiry(method)} for method in methods],
        adds_here=services().settings.stripe_publishable_key is not None,
        request_id=keys.new_id("form"),
    )


@blueprint.post("/payment-methods/add")
@frame.shows_refusals(index)
def begin() -> Response:
    """On to the page with Stripe's form. A double click is one SetupIntent."""
    owner = _owner("setup")
    request_id = request.form.get("request_id", "")
    if not re.fullmatch(r"form_[0-9a-f]{32}", request_id):
        raise Refused("The form was not complete. Reload the page and try again.")
    intent = cards.begin_setup(
        services(), owner.account_id, keys.derived_id("setup", owner.account_id, request_id)
    )
    return redirect(f"{HERE}/add/{intent['id']}", 303)


@blueprint.get("/payment-methods/add/<intent_id>")
def add(intent_id: str) -> Response:
    """Stripe's form for a card to be saved."""
    owner = visitor("owner")
    services().limiter.check("setup", owner.account_id, request.remote_addr, owner.user_id)
    intent = cards.find_setup(services(), owner.account_id, intent_id)
    if intent.get("status") in ("succeeded", "canceled"):
        return redirect(f"{HERE}/added/{intent_id}", 303)
    page = make_response(
        frame.page(
            "billing/add_card.html",
            "cards",
            intent=intent,
            problem=formats.refusal(intent.get("last_setup_error")),
            key=services().settings.stripe_publishable_key,
            stripe_js=security.stripe_js(services().settings),
            done=f"{services().settings.base_url}{HERE}/added/{intent_id}",
        )
    )
    page.headers["Content-Security-Policy"] = security.payment_policy(services().settings)
    return page


@blueprint.get("/payment-methods/added/<intent_id>")
def added(intent_id: str) -> Response:
    """Where the form comes back to: the books follow Stripe at once, without waiting for its event."""
    owner = visitor("owner")
    intent = cards.find_setup(services(), owner.account_id, intent_id)
    if cards.finish_setup(services(), owner.account_id, intent, owner.actor):
        return frame.told("The card is saved.", HERE)
    return redirect(HERE, 303)


@blueprint.post("/payment-methods/<method_id>/default")
@frame.shows_refusals(index)
def choose(method_id: str) -> Response:
    """Charges this card from now on."""
    owner = _owner("cards")
    cards.choose(services(), owner.account_id, method_id, owner.actor)
    return frame.told("This card is charged from now on.", HERE)


@blueprint.get("/payment-methods/<method_id>/remove")
def confirm_removal(method_id: str) -> str:
    """What removing the card means, before it is."""
    owner = visitor("owner")
    method = _own(owner, method_id)
    return frame.page("billing/remove_card.html", "cards", method=method)


@blueprint.post("/payment-methods/<method_id>/remove")
@frame.shows_refusals(index)
def remove(method_id: str) -> Response:
    """Removes it for good."""
    owner = _owner("cards")
    listed = {method["id"]: method for method in services().ledger.list_payment_methods(owner.account_id)}
    cards.remove(services(), owner.account_id, method_id, owner.actor)
    named: Any = listed.get(method_id)
    return frame.told(f"{formats.card(named)} was removed." if named else "The card was removed.", HERE)


@blueprint.post("/portal")
@frame.shows_refusals(lambda: plans.index() if _from_plans() else index())
def portal() -> Response:
    """On to Stripe's Billing Portal, which leads back to the page it was opened from."""
    owner = _owner("portal")
    back = "/billing/plans" if _from_plans() else HERE
    return redirect(cards.open_portal(services(), owner.account_id, back)["url"], 303)


def _from_plans() -> bool:
    return request.form.get("back") == "plans"


def _owner(action: str) -> Visitor:
    owner = visitor("owner")
    services().limiter.check(action, owner.account_id, request.remote_addr, owner.user_id)
    return owner


def _own(owner: Visitor, method_id: str) -> PaymentMethod:
    for method in services().ledger.list_payment_methods(owner.account_id):
        if method["id"] == method_id:
            return method
    raise Refused("The account has no such payment method.", code="not_found", status=404)


def _expiry(method: PaymentMethod) -> str | None:
    """expired, or soon: this month or next, as cards are announced."""
    if method["exp_year"] is None or method["exp_month"] is None:
        return None
    today = dt.datetime.now(dt.UTC).date()
    months = (method["exp_year"] - today.year) * 12 + method["exp_month"] - today.month
    return "expired" if months < 0 else "soon" if months <= 1 else None
