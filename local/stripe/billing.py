"""What happens to a subscription: it begins, renews, is retried, ends. By the API, a Checkout page or the clock."""

from __future__ import annotations

from local.stripe import collection, intervals, lines, subscriptions
from local.stripe.checkout_discounts import redeem
from local.stripe.engine import Call
from local.stripe.errors import invalid, missing_object
from local.stripe.objects import payment_intent
from local.stripe.resources import customers
from local.stripe.resources.payment_methods import attach_to
from local.stripe.routing import changed, merge_metadata
from local.stripe.store import Obj, public

_DAY = 86400
_INCOMPLETE = 23 * 3600
_LIVE = ("active", "past_due", "trialing", "incomplete", "unpaid")
_BILLED = ("active", "past_due", "unpaid")


def first_payment(call: Call, session: Obj) -> Obj | None:
    """The PaymentIntent of a subscription's first invoice, kept between attempts; None when nothing is due."""
    known = call.engine.store.get("payment_intent", session.get("_intent", ""))
    if known or not session["amount_total"]:
        return known
    pi = payment_intent(call, session["amount_total"], session["currency"])
    pi.update(
        customer=session["customer"], setup_future_usage="off_session", description="Subscription creation"
    )
    pi["_session"] = session["id"]
    session["_intent"] = pi["id"]
    call.put(pi)
    call.emit("payment_intent.created", pi)
    return pi


def begin(call: Call, session: Obj, pi: Obj | None, method: str) -> None:
    """The page was submitted and its payment is under way, or none is due: the subscription starts."""
    pm = call.get("payment_method", method)
    if pm["customer"] is None:
        attach_to(call, pm, session["customer"])
    customer = call.get("customer", session["customer"])
    data = session["_subscription_data"]
    subscription = subscriptions.build(call, customer, session["currency"], data.get("billing_mode"))
    subscription.update(default_payment_method=pm["id"], description=data.get("description"))
    merge_metadata(subscription, data)
    subscription["discounts"] = redeem(call, session)
    for id in subscription["discounts"]:
        call.put({**call.get("discount", id), "subscription": subscription["id"]})
    start_trial(call, subscription, data)
    subscription["items"]["data"] = [
        subscriptions.item(call, subscription, line["price"], line["quantity"]) for line in session["_items"]
    ]
    call.put(subscription)
    call.emit("customer.subscription.created", subscription)
    found = subscriptions.items(subscription)
    invoice = subscriptions.bill_cycle(call, subscription, "subscription_create", found, collect=False)
    collection.finalize(call, invoice, balance=False)
    session.update(subscription=subscription["id"], invoice=invoice["id"])
    if pi is not None and invoice["status"] == "open":
        _pay_by(call, subscription["id"], invoice, pi)


def _pay_by(call: Call, subscription: str, invoice: Obj, pi: Obj) -> None:
    if pi["status"] == "succeeded":
        collection.settle(call, invoice, pi)
        return
    call.put({**pi, "_invoice": invoice["id"]})
    collection.open_payment(call, invoice, pi["id"])
    call.put({**call.get("subscription", subscription), "status": "active"})


def start_trial(call: Call, subscription: Obj, params: dict[str, object]) -> None:
    """Put a new subscription on trial when the parameters ask for one."""
    end = params.get("trial_end")
    if params.get("trial_period_days"):
        end = call.now() + int(str(params["trial_period_days"])) * _DAY
    if end is None or end == "now":
        return
    moment = int(str(end))
    if moment <= call.now():
        raise invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", "trial_end")
    subscription.update(
        trial_start=call.now(), trial_end=moment, billing_cycle_anchor=moment, status="trialing"
    )


def renew(call: Call, id: str, amount: int | None = None, billing_reason: str = "subscription_cycle") -> Obj:
    """Bill the next cycle whatever the clock says, or (`subscription_update`) one proration of `amount` within this
    cycle; the invoice comes back. A subscription that was to end with its cycle ends instead, and comes back itself.
    """
    subscription = call.get("subscription", id)
    if subscription["status"] not in (*_BILLED, "trialing"):
        raise invalid(f"Subscription {id} has a status of {subscription['status']}.")
    before = public(subscription)
    if billing_reason != "subscription_cycle":
        one = subscriptions.items(subscription)[0]
        cost = one["price"]["unit_amount"] * one["quantity"] if amount is None else amount
        period = (call.now(), one["current_period_end"])
        text = f"Remaining time on {lines.name(call, one['price'])} after {intervals.day(call.now())}"
        call.put(lines.invoice_item(call, subscription, one, cost, period, text))
        invoice = subscriptions.bill(call, subscription, billing_reason, [])
    elif subscription["cancel_at_period_end"]:
        return end(call, subscription)
    elif amount is not None:
        invoice = roll(call, subscription, billing_reason, amount=amount)
    else:
        invoice = roll(call, subscription, billing_reason)
    after = call.get("subscription", id)
    call.emit("customer.subscription.updated", after, changed(before, public(after)))
    return invoice


def roll(call: Call, subscription: Obj, reason: str, collect: bool = True, amount: int | None = None) -> Obj:
    """Begin the next period of the items whose period is over first, and bill it; `amount` replaces the price."""
    found = subscriptions.items(subscription)
    due = min(one["current_period_end"] for one in found)
    subscription["_before"] = min(one["current_period_start"] for one in found)
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
    rolled = [one for one in found if one["current_period_end"] == due]
    for one in rolled:
        period = intervals.period_of(subscription["billing_cycle_anchor"], lines.recurring(one["price"]), due)
        one.update(current_period_start=period[0], current_period_end=period[1])
    if amount is None:
        return subscriptions.bill_cycle(call, subscription, reason, rolled, collect)
    made = [lines.cycle(call, subscription, one) for one in rolled]
    for line in made:
        line.update(amount=amount, subtotal=amount)
    return subscriptions.bill(call, subscription, reason, made, collect)


def run_due(call: Call, clock: str | None = None) -> int:
    """Do what time demands: trials end, cycles renew, attempts are repeated, subscriptions end. How many steps."""
    steps = 0
    while _step(call, clock):
        steps += 1
    return steps


def _step(call: Call, clock: str | None) -> bool:
    """The earliest step that is due, at its own time; False when there is none."""
    now, found = call.now(), []
    for subscription in call.engine.store.select("subscription", "", (), "asc"):
        if subscription["status"] in _LIVE and subscription["test_clock"] == clock:
            moment = _next(call, subscription)
            if moment is not None and moment <= now:
                found.append((moment, subscription["id"]))
    if not found:
        return False
    moment, id = min(found)
    work = Call(call.engine, None, at=moment)
    subscription = call.get("subscription", id)
    before = public(subscription)
    _advance(work, subscription)
    after = call.get("subscription", id)
    difference = changed(before, public(after))
    if difference and after["status"] not in ("canceled", "incomplete_expired"):
        work.emit("customer.subscription.updated", after, difference)
    return True


def _next(call: Call, subscription: Obj) -> int | None:
    """When something is to happen to a subscription by itself."""
    moments = [subscription["cancel_at"]]
    if subscription["status"] == "incomplete":
        moments.append(subscription["created"] + _INCOMPLETE)
    else:
        moments += [one["current_period_end"] for one in subscriptions.items(subscription)]
        paused = subscription["pause_collection"]
        moments.append(paused["resumes_at"] if paused else None)
        moments.append(_retry(call, subscription)[0])
    return min((moment for moment in moments if moment is not None), default=None)


def _retry(call: Call, subscription: Obj) -> tuple[int | None, Obj | None]:
    invoice = call.engine.store.get("invoice", subscription["latest_invoice"] or "")
    if invoice is None or invoice["status"] != "open":
        return None, None
    return invoice["next_payment_attempt"], invoice


def _advance(call: Call, subscription: Obj) -> None:
    now = call.now()
    paused = subscription["pause_collection"]
    moment, invoice = _retry(call, subscription)
    if subscription["cancel_at"] is not None and subscription["cancel_at"] <= now:
        end(call, subscription)
    elif subscription["status"] == "incomplete":
        if (waiting := call.engine.store.get("invoice", subscription["latest_invoice"])) is not None:
            collection.end_unpaid(call, waiting, "void")
    elif paused and paused["resumes_at"] is not None and paused["resumes_at"] <= now:
        call.put({**subscription, "pause_collection": None})
    elif moment is not None and moment <= now and invoice is not None:
        _try_again(call, subscription, invoice)
    elif subscription["status"] == "trialing" and _without_method(call, subscription):
        _end_trial_unpaid(call, subscription)
    else:
        roll(call, subscription, "subscription_cycle")


def _try_again(call: Call, subscription: Obj, invoice: Obj) -> None:
    collection.collect(call, invoice)
    after = call.get("invoice", invoice["id"])
    if after["status"] == "open" and after["attempt_count"] > len(collection.RETRIES):
        end(call, call.get("subscription", subscription["id"]), "payment_failed")


def _without_method(call: Call, subscription: Obj) -> bool:
    customer = call.get("customer", subscription["customer"])
    known = subscription["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
    return (
        known is None
        and subscription["trial_settings"]["end_behavior"]["missing_payment_method"] != "create_invoice"
    )


def _end_trial_unpaid(call: Call, subscription: Obj) -> None:
    if subscription["trial_settings"]["end_behavior"]["missing_payment_method"] == "cancel":
        end(call, subscription)
        return
    call.put({**subscription, "status": "paused"})
    call.emit("customer.subscription.paused", call.get("subscription", subscription["id"]))


def resume(call: Call, subscription: Obj, anchor: str, behavior: str) -> Obj:
    """A paused subscription goes on: with a new cycle from now, or in the cycle that its anchor gives."""
    if subscription["status"] != "paused":
        raise invalid(
            f"Only paused subscriptions can be resumed. {subscription['id']} is {subscription['status']}."
        )
    before = public(subscription)
    subscription["status"] = "active"
    if anchor == "now":
        subscription["billing_cycle_anchor"] = call.now()
    for one in subscriptions.items(subscription):
        subscriptions.place(call, subscription, one)
        if anchor != "now" and behavior != "none":
            whole = (one["current_period_start"], one["current_period_end"])
            lines.debit(call, subscription, one, call.now(), whole)
    call.put(subscription)
    if anchor == "now":
        found = subscriptions.items(subscription)
        subscriptions.bill_cycle(call, subscription, "subscription_update", found)
    elif behavior == "always_invoice":
        subscriptions.bill(call, subscription, "subscription_update", [])
    after = call.get("subscription", subscription["id"])
    call.emit("customer.subscription.resumed", after)
    call.emit("customer.subscription.updated", after, changed(before, public(after)))
    return after


def owned_method(call: Call, customer: str, id: str | None) -> str | None:
    """A payment method that is attached to the customer, or Stripe's refusal."""
    if id is None:
        return None
    pm = call.engine.store.get("payment_method", id)
    if pm is None:
        raise missing_object("payment_method", id, "default_payment_method", 400)
    if pm["customer"] != customer:
        text = (
            f"The customer does not have a payment method with the ID {id}. The payment method must be attached to "
            "the customer."
        )
        raise invalid(text, code="resource_missing")
    return id


def set_end(call: Call, subscription: Obj, moment: int | None, with_period: bool) -> None:
    """Plan the end of a subscription, or take the plan back."""
    subscription.update(
        cancel_at_period_end=bool(moment and with_period),
        cancel_at=moment,
        canceled_at=call.now() if moment else None,
    )
    subscription["cancellation_details"] = {
        **subscription["cancellation_details"],
        "reason": "cancellation_requested" if moment else None,
    }


def end(call: Call, subscription: Obj, reason: str = "cancellation_requested") -> Obj:
    """The subscription is over now."""
    now = call.now()
    subscription.update(status="canceled", canceled_at=subscription["canceled_at"] or now, ended_at=now)
    subscription["cancellation_details"]["reason"] = reason
    call.put(subscription)
    call.emit("customer.subscription.deleted", subscription)
    return subscription


def _end_all(call: Call, customer: str) -> None:
    """Deleting a customer cancels its subscriptions (docs.stripe.com/api/customers/delete)."""
    for subscription in call.engine.store.select("subscription", "customer = ?", (customer,)):
        if subscription["status"] not in ("canceled", "incomplete_expired"):
            end(call, subscription)


customers.FOLLOWERS.append(_end_all)
