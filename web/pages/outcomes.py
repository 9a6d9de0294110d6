"""What became of a purchase: where Stripe Checkout and the page that takes payments lead back to."""

from __future__ import annotations

from typing import Any

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
    payment, shared = _payment()
    settled = payment["status"] in arrival.SETTLED
    if not settled and arrival.is_first():
        arrival.look(payment["id"])
    context = {
        **shared,
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
    payment, shared = _payment()
    again = order_page(payment["package_id"], payment["quantity"])
    return frame.page("billing/failure.html", "buy", again=again, **shared)


def _payment() -> tuple[Payment, dict[str, Any]]:
    """The payment that the address names, and what templates say of it. Its account may be any of the visitor's: another one
    may have come into view in another tab while this one was at Stripe. Refused not_found.

    `of`: that account; `elsewhere`: it is not the one in view; `left`: its balance, where the header does not have it.
    """
    who = visitor()
    payment = services().ledger.get_payment(request.args.get("payment", "").replace("\0", ""))
    of = next((own for own in who.accounts if payment and own["account_id"] == payment["account_id"]), None)
    if payment is None or of is None:
        raise Refused("There is no such payment.", code="not_found", status=404)
    elsewhere = of["account_id"] != who.account_id
    left = services().ledger.get_balance(of["account_id"]) if elsewhere else None
    return payment, {"payment": payment, "of": of, "elsewhere": elsewhere, "left": left}
