"""What became of a purchase: where Stripe Checkout and the page that takes payments lead back to."""

from __future__ import annotations

from flask import render_template, request

from shared.errors import Refused
from shared.models import Payment
from web.pages import arrival, frame
from web.pages.buy import order_page
from web.pages.visitors import visitor
from web.services import services

blueprint = frame.blueprint("outcomes")


@blueprint.get("/success")
def success() -> str:
    """Where a purchase comes back to: waits until the credits are there. The first view has a worker ask Stripe at once."""
    payment = _own_payment()
    settled = payment["status"] in arrival.SETTLED
    if not settled and arrival.is_first():
        arrival.look(payment["id"])
    context = {
        "payment": payment,
        "settled": settled,
        "title": arrival.title(payment),
        **arrival.waiting(f"/billing/success?payment={payment['id']}"),
    }
    if arrival.is_part():
        return render_template("billing/arrival.html", **frame.header(visitor()), **context)
    return frame.page("billing/success.html", "buy", **context)


@blueprint.get("/failure")
def failure() -> str:
    """What became of a purchase that was not paid, and the ways on. Checkout comes back to it, too."""
    payment = _own_payment()
    again = order_page(payment["package_id"], payment["quantity"])
    return frame.page("billing/failure.html", "buy", payment=payment, again=again)


def _own_payment() -> Payment:
    payment = services().ledger.get_payment(request.args.get("payment", "").replace("\0", ""))
    if payment is None or payment["account_id"] != visitor().account_id:
        raise Refused("There is no such payment.", code="not_found", status=404)
    return payment
