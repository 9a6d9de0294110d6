"""The Billing Portal's page: plans, cards and payments of one customer, as far as the configuration lets change them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request

from local.stripe import billing, changes
from local.stripe.engine import Call, Engine
from local.stripe.errors import StripeError
from local.stripe.resources import payment_methods
from local.stripe.resources.customers import clocked
from local.stripe.store import Obj

Page = Any


def portal_routes(routes: Blueprint, engine: Engine) -> None:
    """Add `/portal/<session>` and what its buttons do."""

    @routes.get("/portal/<id>")
    def portal(id: str) -> Page:
        return _shown(engine, id)

    @routes.post("/portal/<id>/detach/<method>")
    def detach(id: str, method: str) -> Page:
        with engine.transaction():
            session = engine.need("billing_portal.session", id)
            pm = engine.need("payment_method", method)
            if pm["customer"] != session["customer"]:
                raise StripeError(404, "This card is not here any more.")
            payment_methods.detach(engine.call(), method)
        return redirect(f"/portal/{id}", 303)

    @routes.post("/portal/<id>/plans/<plan>/<change>")
    def change_plan(id: str, plan: str, change: str) -> Page:
        refusal: StripeError | None = None
        with engine.transaction():
            try:
                with engine.attempt():
                    _change(engine, id, plan, change)
            except StripeError as error:
                refusal = error
        if refusal is not None and refusal.declined:
            return _shown(engine, id, str(refusal)), 200
        if refusal is not None:
            raise refusal
        return redirect(f"/portal/{id}", 303)

    @routes.post("/portal/<id>/add")
    def add(id: str) -> Page:
        month, _, year = request.form.get("expiry", "").replace(" ", "").partition("/")
        with engine.transaction():
            call = engine.call()
            session = engine.need("billing_portal.session", id)
            clocked(call, session["customer"])
            card = {"number": request.form.get("number", ""), "exp_month": month or 0, "exp_year": year or 0}
            with engine.attempt():
                pm = call.put(payment_methods.from_data(call, {"card": card}))
                payment_methods.attach_to(call, pm, session["customer"])
        return redirect(f"/portal/{id}", 303)


def _shown(engine: Engine, id: str, error: str | None = None) -> str:
    with engine.lock:
        session = engine.need("billing_portal.session", id)
        features = _features(engine, session)
        owner = (session["customer"],)
        return render_template(
            "portal.html",
            session=session,
            error=error,
            features=features,
            choices=_choices(engine, features),
            methods=engine.store.select("payment_method", "customer = ?", owner),
            charges=engine.store.select("charge", "customer = ?", owner, limit=20),
            plans=engine.store.select("subscription", "customer = ?", owner),
        )


def _features(engine: Engine, session: Obj) -> Obj:
    found: Obj = engine.need("billing_portal.configuration", session["configuration"])["features"]
    return found


def _choices(engine: Engine, features: Obj) -> list[dict[str, Any]]:
    """The prices that a customer may change to, with their products' names."""
    return [
        {"price": engine.need("price", id), "name": engine.need("product", product["product"])["name"]}
        for product in features["subscription_update"]["products"] or []
        for id in product["prices"]
    ]


def _change(engine: Engine, id: str, plan: str, change: str) -> None:
    session = engine.need("billing_portal.session", id)
    subscription = engine.store.get("subscription", plan)
    if subscription is None or subscription["customer"] != session["customer"]:
        raise StripeError(404, "This plan is not here any more.")
    features = _features(engine, session)
    call = engine.call()
    clocked(call, session["customer"])
    if change == "update" and features["subscription_update"]["enabled"]:
        changes.change(call, subscription, _update(features["subscription_update"], subscription))
    elif change == "keep":
        changes.change(call, subscription, {"cancel_at_period_end": False})
    elif change == "cancel" and features["subscription_cancel"]["enabled"]:
        _cancel(call, subscription, features["subscription_cancel"])
    else:
        raise StripeError(404, "This cannot be changed here.")


def _cancel(call: Call, subscription: Obj, feature: Obj) -> None:
    if feature["mode"] == "immediately":
        billing.end(call, subscription)
    else:
        changes.change(call, subscription, {"cancel_at_period_end": True})


def _update(feature: Obj, subscription: Obj) -> dict[str, Any]:
    """The change of plan and quantity that the form asks for, if the configuration allows it."""
    item = subscription["items"]["data"][0]
    wanted: dict[str, Any] = {"id": item["id"], "quantity": item["quantity"]}
    allowed = feature["default_allowed_updates"]
    price, quantity = request.form.get("price"), request.form.get("quantity", "")
    if price and price != item["price"]["id"]:
        offered = [id for product in feature["products"] or [] for id in product["prices"]]
        if "price" not in allowed or price not in offered:
            raise StripeError(400, "This plan cannot be chosen here.")
        wanted["price"] = price
    if quantity.isdigit() and int(quantity) != item["quantity"]:
        if "quantity" not in allowed or int(quantity) < 1:
            raise StripeError(400, "The quantity cannot be changed here.")
        wanted["quantity"] = int(quantity)
    change: dict[str, Any] = {
        "items": [wanted],
        "proration_behavior": feature["proration_behavior"],
        "payment_behavior": "error_if_incomplete",
    }
    if feature["billing_cycle_anchor"]:
        change["billing_cycle_anchor"] = {"type": feature["billing_cycle_anchor"]}
    if feature["trial_update_behavior"] == "end_trial" and subscription["status"] == "trialing":
        change["trial_end"] = "now"
    return change
