"""The page of a mailed link: a card holder confirms a payment that the bank would not let pass without them.

The link is the authority: there is no sign-in, and the page tells nothing of the account but its name. It grants nothing;
it asks a worker to look at Stripe, so that the grant need not wait for a webhook.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request
from werkzeug.wrappers import Response

from shared import pay_links, queue
from shared.errors import Refused
from shared.models import Payment
from shared.stripe_facts import StripeData
from web import formats, security
from web.pages import arrival, errors
from web.services import services

PAYABLE = ("requires_payment_method", "requires_action", "requires_confirmation")

blueprint = Blueprint("pay", __name__, url_prefix="/billing/pay")
errors.register(blueprint)


@blueprint.get("/<token>")
def confirm(token: str) -> Response:
    """What is to be paid, and Stripe's own forms for it; a payment that nobody can pay goes to the waiting view."""
    payment = _payment(token)
    services().limiter.check("pay", payment["id"], request.remote_addr)
    intent = _intent(payment)
    if not payment["action_required"] or intent is None or intent.get("status") not in PAYABLE:
        return redirect(f"/billing/pay/{token}/done", 303)
    failure = intent.get("last_payment_error") or {}
    page = make_response(
        render_template(
            "billing/pay.html",
            payment=payment,
            intent=intent,
            method=_method(payment, intent, failure),
            # What made the link necessary is no news to its reader.
            problem=None if failure.get("code") == "authentication_required" else formats.refusal(failure),
            key=services().settings.stripe_publishable_key,
            stripe_js=security.stripe_js(services().settings),
            done=f"{services().settings.base_url}/billing/pay/{token}/done",
            account_name=services().ledger.get_account(payment["account_id"])["name"],
        )
    )
    page.headers["Content-Security-Policy"] = security.payment_policy(services().settings)
    return page


@blueprint.get("/<token>/done")
def done(token: str) -> Response:
    """What became of the payment: waits until the credits are there."""
    payment = _payment(token)
    settled = payment["status"] in arrival.SETTLED
    canceled = not settled and arrival.is_first() and _look(payment)
    if canceled is None:
        return redirect(f"/billing/pay/{token}", 303)
    if canceled:
        payment["status"] = "canceled"
    page = render_template(
        "billing/arrival.html" if arrival.is_part() else "billing/success.html",
        payment=payment,
        settled=settled or canceled,
        title=arrival.title(payment),
        refreshed=False,
        **arrival.waiting(f"/billing/pay/{token}/done"),
    )
    return make_response(page)


def _look(payment: Payment) -> bool | None:
    """Whether Stripe or a newer charge ended the payment; None when it can still be paid. A worker looks at once, too."""
    services().limiter.check("pay", payment["id"], request.remote_addr)
    intent = _intent(payment)
    status = intent.get("status") if intent else "canceled"
    if status in PAYABLE and payment["action_required"]:
        return None
    services().queue.hint(queue.CHECK_PAYMENT, payment["id"])
    return status not in ("succeeded", "processing")


def _payment(token: str) -> Payment:
    payment = services().ledger.get_payment(pay_links.payment_of(services().settings, token))
    if payment is None:
        raise Refused("There is no such payment.", code="not_found", status=404)
    return payment


def _intent(payment: Payment) -> StripeData | None:
    intent_id = payment["stripe_payment_intent_id"]
    return services().gateway.retrieve_intent(intent_id) if intent_id is not None else None


def _method(payment: Payment, intent: StripeData, failure: StripeData) -> Any:
    """The card that was tried, if it may be tried again: one that is attached to no customer is good for one use only
    (docs.stripe.com/api/payment_methods). After such a one, a top-up still has the card that it was to be charged to.
    """
    method = intent.get("payment_method") or failure.get("payment_method") or {}
    if method and (intent.get("status") == "requires_action" or method.get("customer")):
        return method
    topup = services().ledger.find_topup(payment["topup_id"]) if payment["topup_id"] else None
    return {"id": topup["payment_method"]} if topup else None
