"""Subscription plans: what each grants, the account's own, subscribing at Stripe Checkout, managing it in the portal."""

from __future__ import annotations

import re

from flask import redirect, render_template, request
from werkzeug.wrappers import Response

from shared import keys, queue
from shared.errors import Refused
from shared.subscription_models import CheckoutState
from web import subscriptions
from web.pages import arrival, frame
from web.pages.visitors import Visitor, visitor
from web.services import services

ENDED = ("canceled", "incomplete_expired")

blueprint = frame.blueprint("plans")


@blueprint.get("/plans")
def index() -> str:
    """The plans on offer, and the one that the account has. With `checkout`: how that one ended, waiting until its plan is
    set up; the first view has a worker ask Stripe at once.
    """
    ledger, who = services().ledger, visitor()
    checkout = _checkout(who)
    canceled = checkout is not None and checkout["state"] != "done" and "canceled" in request.args
    waits = checkout is not None and checkout["state"] == "open" and not canceled
    if checkout is not None and waits and arrival.is_first():
        arrival.look(checkout["id"], queue.CHECK_SUBSCRIPTION)
    subscription = ledger.get_subscription(who.account_id)
    context = {
        "plans": ledger.list_plans(),
        "subscription": subscription,
        "signup_credits": services().settings.signup_micro_credits,
        "goes_on": subscription is not None and subscription["status"] not in ENDED,
        "request_id": keys.new_id("form"),
        "checkout": checkout,
        "canceled": canceled,
        "waits": waits,
        **arrival.waiting(address(checkout["id"] if checkout else "")),
    }
    if arrival.is_part():
        return render_template("billing/_plans.html", **frame.header(who), **context)
    return frame.page("billing/plans.html", "plans", **context)


@blueprint.post("/plans/subscribe")
@frame.shows_refusals(index)
def subscribe() -> Response:
    """On to Stripe Checkout. Only the newest Session of an account can be paid, so two are never bought."""
    buyer = visitor("admin")
    services().limiter.check("checkout", buyer.account_id, request.remote_addr, buyer.user_id)
    request_id, plan_id = request.form.get("request_id", ""), request.form.get("plan_id", "")
    if not re.fullmatch(r"form_[0-9a-f]{32}", request_id):
        raise Refused("The form was not complete. Reload the page and try again.")
    checkout_id = keys.derived_id("subc", buyer.account_id, request_id, plan_id)
    back = services().settings.base_url + address(checkout_id)
    checkout = subscriptions.open_checkout(
        services(),
        checkout_id=checkout_id,
        account_id=buyer.account_id,
        plan_id=plan_id.replace("\0", ""),
        success_url=back,
        cancel_url=f"{back}&canceled=1",
    )
    return redirect(checkout["checkout_url"] or "/billing/plans", 303)


def address(checkout_id: str) -> str:
    """Where the Checkout of a plan leads back to."""
    return f"/billing/plans?checkout={checkout_id}"


def _checkout(who: Visitor) -> CheckoutState | None:
    """The checkout that the address names, if it is one of the account in view: any other says nothing here."""
    name = request.args.get("checkout", "").replace("\0", "")
    found = services().ledger.get_subscription_checkout(name) if name else None
    return found if found is not None and found["account_id"] == who.account_id else None
