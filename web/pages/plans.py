"""Subscription plans: what each grants, the account's own, subscribing at Stripe Checkout, managing it in the portal."""

from __future__ import annotations

import re

from flask import redirect, request
from werkzeug.wrappers import Response

from shared import keys
from shared.errors import Refused
from web import subscriptions
from web.pages import frame
from web.pages.visitors import visitor
from web.services import services

ENDED = ("canceled", "incomplete_expired")

blueprint = frame.blueprint("plans")


@blueprint.get("/plans")
def index() -> str:
    """The plans on offer, and the one that the account has."""
    ledger = services().ledger
    subscription = ledger.get_subscription(visitor().account_id)
    return frame.page(
        "billing/plans.html",
        "plans",
        plans=ledger.list_plans(),
        subscription=subscription,
        signup_credits=services().settings.signup_micro_credits,
        goes_on=subscription is not None and subscription["status"] not in ENDED,
        request_id=keys.new_id("form"),
    )


@blueprint.post("/plans/subscribe")
def subscribe() -> Response:
    """On to Stripe Checkout. Only the newest Session of an account can be paid, so two are never bought."""
    buyer = visitor("admin")
    services().limiter.check("checkout", buyer.account_id, request.remote_addr, buyer.user_id)
    request_id, plan_id = request.form.get("request_id", ""), request.form.get("plan_id", "")
    if not re.fullmatch(r"form_[0-9a-f]{32}", request_id):
        raise Refused("The form was not complete. Reload the page and try again.")
    home = f"{services().settings.base_url}/billing/plans"
    checkout = subscriptions.open_checkout(
        services(),
        checkout_id=keys.derived_id("subc", buyer.account_id, request_id, plan_id),
        account_id=buyer.account_id,
        plan_id=plan_id.replace("\0", ""),
        success_url=home,
        cancel_url=home,
    )
    return redirect(checkout["checkout_url"] or "/billing/plans", 303)
