"""Where Checkout leads buyers back to who bought by a front end of their platform's, and need not be signed in here.

The link is the authority. It tells what became of one purchase or plan, and nothing of the account; it changes nothing, but
has a worker ask Stripe. Who is signed in goes on to the page of the account.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, redirect, render_template
from werkzeug.wrappers import Response

from shared import pay_links, queue
from shared.errors import Refused
from shared.models import Payment
from shared.subscription_models import CheckoutState
from web.pages import arrival, errors, plans, visitors
from web.services import services

LIFETIME = dt.timedelta(days=1)

blueprint = Blueprint("returns", __name__, url_prefix="/billing/return")
errors.register(blueprint)


@dataclass(frozen=True)
class Bought:
    """What a link names: a purchase or a checkout of a plan. `shown`: the row, under the name that its `part` knows."""

    id: str
    account_id: str
    created_at: str
    shown: dict[str, Any]
    part: str
    title: str
    actor: str
    settled: bool
    paid: bool
    """Or being paid: then nobody has turned back."""
    url: str | None
    """Where it can still be paid."""


@blueprint.get("/<token>")
def paid(token: str) -> Response | str:
    """After paying: waits until the credits are there. The first view has a worker ask Stripe at once."""
    bought = _find(token)
    if home := _home(bought, canceled=False):
        return redirect(home, 303)
    if not bought.settled and arrival.is_first():
        arrival.look(bought.id, bought.actor)
    return render_template(
        bought.part if arrival.is_part() else "billing/success.html",
        **bought.shown,
        part=bought.part,
        title=bought.title,
        settled=bought.settled,
        refreshed=False,
        **arrival.waiting(f"/billing/return/{token}"),
    )


@blueprint.get("/<token>/canceled")
def canceled(token: str) -> Response | str:
    """After turning back: that nothing was charged, and the way to Checkout while it can be paid."""
    bought = _find(token)
    if home := _home(bought, canceled=True):
        return redirect(home, 303)
    if bought.paid:
        return redirect(f"/billing/return/{token}", 303)
    return render_template("billing/turned_back.html", **bought.shown, url=bought.url)


def _find(token: str) -> Bought:
    """Refused: invalid_token, link_expired, not_found."""
    ledger, subject_id = services().ledger, pay_links.returned(services().settings, token)
    if (payment := ledger.get_payment(subject_id)) is not None:
        bought = _purchase(payment)
    elif (checkout := ledger.get_subscription_checkout(subject_id)) is not None:
        bought = _plan(checkout)
    else:
        raise Refused("There is no such payment.", code="not_found", status=404)
    if dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(bought.created_at) > LIFETIME:
        raise Refused(
            "This link has expired. Open billing to see what became of the payment.",
            code="link_expired",
            status=410,
        )
    return bought


def _purchase(payment: Payment) -> Bought:
    status = payment["status"]
    return Bought(
        id=payment["id"],
        account_id=payment["account_id"],
        created_at=payment["created_at"],
        shown={"payment": payment},
        part="billing/arrival.html",
        title=arrival.title(payment),
        actor=queue.CHECK_PAYMENT,
        settled=status in arrival.SETTLED,
        paid=status in ("succeeded", "parked", "processing"),
        url=payment["checkout_url"] if status == "open" and not payment["overdue"] else None,
    )


def _plan(checkout: CheckoutState) -> Bought:
    state = checkout["state"]
    return Bought(
        id=checkout["id"],
        account_id=checkout["account_id"],
        created_at=checkout["created_at"],
        shown={"checkout": checkout},
        part="billing/plan_arrival.html",
        title={"open": "Setting up your plan", "done": "Thank you"}.get(state, "Not paid"),
        actor=queue.CHECK_SUBSCRIPTION,
        settled=state != "open",
        paid=state == "done" or checkout["subscription_id"] is not None,
        url=checkout["checkout_url"] if state == "open" else None,
    )


def _home(bought: Bought, *, canceled: bool) -> str | None:
    """The account's own page for whoever is signed in and may see it; None for everybody else."""
    who = visitors.known()
    if who is None:
        return None
    if "payment" in bought.shown:
        page = "failure" if canceled else "success"
        own = {account["account_id"] for account in who.accounts}
        return f"/billing/{page}?payment={bought.id}" if bought.account_id in own else None
    # The page of plans is that of the account in view.
    if bought.account_id != who.account_id:
        return None
    return plans.address(bought.id) + ("&canceled=1" if canceled else "")
