"""Pages that Stripe hosts: Checkout, 3-D Secure, the Billing Portal, receipts. Plain HTML, no JavaScript."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Blueprint, redirect, render_template, request

from local.stripe import checkout_discounts, checkout_flow, currencies, methods, objects
from local.stripe.engine import Engine
from local.stripe.errors import StripeError
from local.stripe.portal_page import portal_routes
from local.stripe.resources import checkout
from local.stripe.store import Obj

Page = Any


def money(amount: int | None, currency: str | None) -> str:
    """5.00 with its currency, as a customer reads it."""
    if amount is None:
        return ""
    return currencies.written(amount, currency or "usd")


def blueprint(engine: Engine) -> Blueprint:
    """Routes of the hosted pages."""
    routes = Blueprint("hosted", __name__, template_folder="templates")
    routes.add_app_template_filter(money)
    _checkout_routes(routes, engine)
    _authorize_routes(routes, engine)
    portal_routes(routes, engine)

    @routes.get("/receipts/<id>")
    def receipt(id: str) -> Page:
        with engine.lock:
            charge = engine.need("charge", id)
        return render_template("receipt.html", charge=charge, merchant=engine.config.merchant)

    @routes.get("/invoices/<id>")
    @routes.get("/invoices/<id>/pdf")
    def invoice(id: str) -> Page:
        with engine.lock:
            found = engine.need("invoice", id)
        return render_template("invoice.html", invoice=found, merchant=engine.config.merchant)

    @routes.errorhandler(StripeError)
    def failed(error: StripeError) -> Page:
        return render_template(
            "message.html", title="This did not work", text=error.error["message"]
        ), error.status

    return routes


def _checkout_routes(routes: Blueprint, engine: Engine) -> None:
    @routes.get("/checkout/<id>")
    def show(id: str) -> Page:
        with engine.transaction():
            session = checkout.load(engine.call(), id)
        return _form(engine, session, None, 200)

    @routes.post("/checkout/<id>/code")
    def code(id: str) -> Page:
        return _enter_code(engine, id)

    @routes.post("/checkout/<id>")
    def submit(id: str) -> Page:
        refusal: StripeError | None = None
        with engine.transaction():
            try:
                with engine.attempt():
                    session = _pay(engine, id)
            except StripeError as error:
                refusal = error
        if refusal is not None:
            with engine.transaction():
                session = checkout.load(engine.call(), id)
            return _form(engine, session, refusal.error["message"], 200 if refusal.declined else 400)
        if session["status"] == "open":
            intent = session["payment_intent"] or session.get("_intent") or session["setup_intent"]
            return redirect(f"/authorize/{intent}", 303)
        return redirect(_return_url(session), 303)


def _enter_code(engine: Engine, id: str) -> Page:
    """Apply a promotion code and show the page again, with the new total or the reason why not."""
    error = None
    with engine.transaction():
        call = engine.call()
        session = checkout.load(call, id)
        try:
            with engine.attempt():
                checkout_discounts.enter(call, session, request.form.get("code", ""))
                call.put(session)
        except StripeError as refused:
            error = refused.error["message"]
            session = checkout.load(call, id)
    return _form(engine, session, error, 400 if error else 200)


def _pay(engine: Engine, id: str) -> Obj:
    form = request.form
    outcome = "async" if form.get("method") == "async" else None
    return checkout_flow.pay(
        engine.call(),
        id,
        _method(form.get("method", "card"), form.get("account")),
        form.get("email") or None,
        form.get("name") or None,
        outcome,
        form.get("promotion_code") or None,
    )


def _method(kind: str, account: str | None) -> dict[str, Any]:
    form = request.form
    if kind in methods.TYPES:
        return methods.typed(kind, account)
    if form.get("free"):
        return {}
    month, _, year = form.get("expiry", "").replace(" ", "").partition("/")
    if not (month.isdigit() and year.isdigit()):
        raise StripeError(400, "Enter the expiry date as MM / YY.")
    card = {
        "number": form.get("number", ""),
        "exp_month": month,
        "exp_year": year,
        "cvc": form.get("cvc", ""),
    }
    return {"type": "card", "card": card}


def _form(engine: Engine, session: Obj, error: str | None, status: int) -> Page:
    if session["status"] == "complete":
        return redirect(_return_url(session), 303)
    if session["status"] == "expired":
        text = "This checkout page has expired. Nothing was charged."
        return render_template(
            "message.html", title="Page expired", text=text, back=session["cancel_url"]
        ), 410
    email = checkout_flow.known_email(session) or ""
    values = {
        "email": email,
        "number": "",
        "expiry": "12 / 34",
        "cvc": "123",
        "name": "",
        **request.form.to_dict(),
    }
    page = render_template(
        "checkout.html",
        session=session,
        items=session.get("_items", []),
        merchant=engine.config.merchant,
        offered=[kind for kind in objects.offered(session["currency"] or "usd") if kind != "card"],
        error=error,
        values=values,
        fixed_email=bool(session["customer"] and email),
        saves_card=session["mode"] != "payment" or bool(session["_intent_data"].get("setup_future_usage")),
    )
    return page, status


def _return_url(session: Obj) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _authorize_routes(routes: Blueprint, engine: Engine) -> None:
    @routes.get("/authorize/<id>")
    def ask(id: str) -> Page:
        intent = _intent(engine, id)
        if intent["status"] != "requires_action":
            text = f"There is nothing to authorize: this payment has a status of {intent['status']}."
            return render_template("message.html", title="Nothing to do", text=text), 409
        return render_template("authorize.html", intent=intent, merchant=engine.config.merchant)

    @routes.post("/authorize/<id>")
    def answer(id: str) -> Page:
        target = _after_authorization(_intent(engine, id))
        with engine.transaction():
            intent = checkout_flow.authenticate(engine.call(), id, request.form.get("answer") == "authorize")
        with engine.transaction():
            session = engine.store.get("checkout.session", intent.get("_session", ""))
        if session is not None:
            if session["status"] == "complete":
                return redirect(_return_url(session), 303)
            problem = intent.get("last_payment_error") or intent.get("last_setup_error") or {}
            return _form(engine, session, problem.get("message", "The payment was not authorized."), 200)
        if target is None:
            return render_template(
                "message.html", title="Thank you", text=f"The payment is {intent['status']}."
            )
        return redirect(_with_result(target, intent), 303)


def _intent(engine: Engine, id: str) -> Obj:
    with engine.lock:
        return engine.need("setup_intent" if id.startswith("seti_") else "payment_intent", id)


def _after_authorization(intent: Obj) -> str | None:
    action = intent["next_action"] or {}
    url = (action.get("redirect_to_url") or {}).get("return_url")
    return str(url) if url else None


def _with_result(url: str, intent: Obj) -> str:
    """The query that Stripe adds to a return_url."""
    name = intent["object"]
    result = {
        name: intent["id"],
        f"{name}_client_secret": intent["client_secret"],
        "redirect_status": "succeeded" if intent["status"] == "succeeded" else "failed",
    }
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *result.items()])))
