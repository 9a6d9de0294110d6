"""Buying credits: choose, see what is charged and granted, pay at Stripe Checkout or right here.

An order's payment id comes from what is bought and how many such orders are over (`round`): the same order in another tab,
a double click or the back button find the payment that is open, or the one that was paid.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import flash, make_response, redirect, request
from werkzeug.wrappers import Response

from shared import keys
from shared.errors import Refused
from shared.models import Payment
from shared.stripe_facts import StripeData
from web import formats, purchases, security
from web.pages import frame
from web.pages.visitors import Visitor, visitor
from web.services import services

PAYABLE = ("requires_payment_method", "requires_action", "requires_confirmation")
QUANTITY_MAX = 1000
WRITTEN_MAX = 20
"""Of what somebody typed as a quantity, so much is shown again."""

blueprint = frame.blueprint("buy")


@blueprint.get("/buy")
def choose() -> Response:
    """The packages; with package_id, the order: how many, what is charged, what is granted, and the ways to pay."""
    package_id = _plain(request.args.get("package_id", ""))
    if not package_id:
        return _packages(None)
    return _shown(package_id, request.args.get("quantity") or "1", 1)


@blueprint.post("/buy")
def update() -> Response:
    """The order with another quantity, as the form has it. Opens nothing."""
    visitor("admin")
    return _again()


@blueprint.post("/checkout")
@frame.shows_refusals(lambda: _ordered())  # noqa: PLW0108  # defined below
def checkout() -> Response:
    """On to Stripe Checkout."""
    return _pay(
        "checkout",
        lambda order: purchases.open_checkout(services(), **order, success_url=None, cancel_url=None),
    )


@blueprint.post("/buy/pay")
@frame.shows_refusals(lambda: _ordered())  # noqa: PLW0108  # defined below
def pay() -> Response:
    """On to the page that takes the payment here."""
    return _pay("payment_intent", lambda order: purchases.open_intent(services(), **order)[0])


@blueprint.get("/buy/<payment_id>")
def pay_here(payment_id: str) -> Response:
    """Stripe's form for a purchase that is paid here; one that cannot be paid any more shows what became of it."""
    buyer = visitor("admin")
    payment = _own(buyer, payment_id)
    intent_id = payment["stripe_payment_intent_id"]
    if payment["checkout_url"] or intent_id is None or payment["status"] != "open":
        return _where(payment)
    intent = services().gateway.retrieve_intent(intent_id)
    if intent.get("status") not in PAYABLE:
        return redirect(_outcome(payment), 303)
    page = make_response(
        frame.page(
            "billing/pay_here.html",
            "buy",
            payment=payment,
            intent=intent,
            method=_saved_card(buyer, intent),
            problem=formats.refusal(intent.get("last_payment_error")),
            key=services().settings.stripe_publishable_key,
            stripe_js=security.stripe_js(services().settings),
            done=services().settings.base_url + _outcome(payment),
        )
    )
    page.headers["Content-Security-Policy"] = security.payment_policy(services().settings)
    return page


@blueprint.post("/buy/<payment_id>/cancel")
def cancel(payment_id: str) -> Response:
    """Gives a purchase up that nobody has paid; one that was paid meanwhile is shown."""
    payment = _own(visitor("admin"), payment_id)
    if not purchases.give_up(services(), payment):
        return redirect(_outcome(payment), 303)
    return frame.told(
        "The purchase was given up. Nothing was charged.",
        order_page(payment["package_id"], payment["quantity"]),
    )


def _packages(complaint: str | None) -> Response:
    """What is on sale; 422 with a complaint about the order that was asked for."""
    packages = services().ledger.list_packages()
    page = frame.page("billing/buy.html", "buy", packages=packages, quote=None, complaint=complaint)
    return make_response(page, 422 if complaint else 200)


def _shown(package_id: str, written: str, quoted: int) -> Response:
    """The order of `written`, the quantity as it stands in the field. A bad one is told at the field, status 422, beside the
    total of `quoted`, which is the one that was shown before.
    """
    quote, fault = _quote(package_id, written)
    if fault is not None:
        quote, _ = _quote(package_id, str(quoted))
    if quote is None:
        return _packages(fault or "There is no such package.")
    page = frame.page(
        "billing/buy.html",
        "buy",
        quote=quote,
        written=written[:WRITTEN_MAX],
        fault=fault,
        pays_here=services().settings.stripe_publishable_key is not None,
    )
    return make_response(page, 422 if fault else 200)


def _quote(package_id: str, written: str) -> tuple[Any, str | None]:
    """What the quantity comes to, or what is wrong with it; neither of them for a package that is not on sale."""
    try:
        return services().ledger.quote_purchase(visitor().account_id, package_id, _quantity(written)), None
    except Refused as refusal:
        return None, refusal.detail if refusal.code == "invalid_value" else None


def _ordered() -> Response:
    """The order of the form, as it was sent."""
    return _shown(
        _plain(request.form.get("package_id", "")), request.form.get("quantity", ""), _number("quoted") or 1
    )


def _again(said: str | None = None) -> Response:
    """The order with the form's quantity and its total, and `said` above it. A bad quantity stays in the form."""
    package_id, written = _plain(request.form.get("package_id", "")), request.form.get("quantity", "")
    if _quote(package_id, written)[0] is None:
        return _shown(package_id, written, _number("quoted") or 1)
    if said is not None:
        flash(said, "warn")
    return redirect(order_page(package_id, int(written)), 303)


def _pay(action: str, run: Callable[[dict[str, Any]], Payment]) -> Response:
    """Opens the purchase of the form by `run`, or finds the one that it has opened, and leads on to paying it.

    The quantity stands beside the buttons that pay: one that is not the quantity of the total that was shown opens
    nothing, and shows its total first. Refused: role_missing, rate_limited, and what opening a purchase refuses.
    """
    buyer, quantity = visitor("admin"), _number("quantity")
    if quantity is None or quantity != _number("quoted"):
        return _again("The total has changed. Nothing was charged: look at it, and pay.")
    services().limiter.check(action, buyer.account_id, request.remote_addr, buyer.user_id)
    order = _order(buyer, quantity)
    return _begun(order["payment_id"]) or _opened(lambda: run(order))


def _order(buyer: Visitor, quantity: int) -> dict[str, Any]:
    """What is bought, by the form; its price is the catalogue's. The form's own id makes all its repeats one purchase."""
    request_id, package_id = request.form.get("request_id", ""), _plain(request.form.get("package_id", ""))
    if not re.fullmatch(r"form_[0-9a-z]{1,64}", request_id):
        raise Refused("The form was not complete. Reload the page and try again.")
    return {
        "payment_id": keys.derived_id("pay", buyer.account_id, request_id, package_id, str(quantity)),
        "account_id": buyer.account_id,
        "package_id": package_id,
        "quantity": quantity,
    }


def _begun(payment_id: str) -> Response | None:
    """Where the purchase goes on that another tab, or the click before, has begun."""
    payment = services().ledger.get_payment(payment_id)
    if payment is None or not (payment["checkout_url"] or payment["stripe_payment_intent_id"]):
        return None
    return _where(payment)


def _opened(run: Any) -> Response:
    payment: Payment
    try:
        payment = run()
    except Refused as refusal:
        if refusal.code != "state_conflict":
            raise
        # Both ways to pay were chosen at the same moment; the first one stands.
        raise Refused(
            "This purchase was just begun in another window. Go back to continue it.",
            code=refusal.code,
            status=refusal.status,
        ) from None
    return _where(payment)


def _where(payment: Payment) -> Response:
    if payment["status"] == "open" and payment["checkout_url"]:
        return redirect(payment["checkout_url"], 303)
    if payment["status"] == "open" and payment["stripe_payment_intent_id"]:
        return redirect(f"/billing/buy/{payment['id']}", 303)
    return redirect(_outcome(payment), 303)


def _outcome(payment: Payment) -> str:
    name = "failure" if payment["status"] in ("failed", "canceled") else "success"
    return f"/billing/{name}?payment={payment['id']}"


def order_page(package_id: str | None, quantity: int) -> str:
    """The address of an order; that of all packages for a package that is none."""
    return "/billing/buy?" + urlencode({"package_id": package_id or "", "quantity": quantity})


def _saved_card(buyer: Visitor, intent: StripeData) -> Any:
    """What the button charges: the card that the bank asks about, else the account's default."""
    if intent.get("status") == "requires_action" and intent.get("payment_method"):
        return intent["payment_method"]
    customer = services().ledger.get_customer(buyer.account_id) or {}
    method_id = customer.get("default_payment_method")
    return {"id": method_id, "card": customer.get("card")} if method_id else None


def _own(who: Visitor, payment_id: str) -> Payment:
    payment = services().ledger.get_payment(_plain(payment_id))
    if payment is None or payment["account_id"] != who.account_id:
        raise Refused("There is no such payment.", code="not_found", status=404)
    return payment


def _number(field: str) -> int | None:
    """The quantity in a field of the form; None when there is none in it."""
    try:
        return _quantity(request.form.get(field, ""))
    except Refused:
        return None


def _quantity(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= QUANTITY_MAX:
        raise Refused(f"The quantity is a whole number from 1 to {QUANTITY_MAX}.", code="invalid_value")
    return int(text)


def _plain(text: str) -> str:
    return text.replace("\0", "")
