"""Subscriptions and their items (`subscriptions.py`, `changes.py` and `billing.py` do the work)."""

from __future__ import annotations

from typing import Any

from local.stripe import billing, changes, collection, discounts, lines, subscriptions
from local.stripe.engine import Call
from local.stripe.errors import StripeError, invalid, missing_object, missing_param
from local.stripe.lists import page
from local.stripe.resources.customers import clocked
from local.stripe.routing import merge_metadata, route
from local.stripe.store import Obj

_PLAIN = ("description", "collection_method", "days_until_due", "trial_settings")


@route("post", "/v1/subscriptions")
def create(call: Call) -> Obj:
    params = call.params
    if not params.get("customer"):
        raise missing_param("customer")
    if not params.get("items"):
        raise missing_param("items")
    customer = clocked(call, params["customer"])
    prices = []
    currency = params.get("currency")
    for place, entry in enumerate(params["items"]):
        prices.append(subscriptions.price_of(call, entry, f"items[{place}]", currency))
        currency = prices[0]["currency"]
    subscription = _started(call, customer, str(currency))
    found = subscriptions.items(subscription)
    for price, entry in zip(prices, params["items"], strict=True):
        one = subscriptions.item(call, subscription, price, int(entry.get("quantity", 1)))
        merge_metadata(one, entry)
        found.append(one)
    _needs_method(call, subscription, customer)
    with call.engine.tentative() as undo:
        call.put(subscription)
        call.emit("customer.subscription.created", subscription)
        refusal = _first_invoice(call, subscription)
        if refusal is not None and params.get("payment_behavior") == "error_if_incomplete":
            undo.append(True)
    if refusal is not None and undo:
        raise refusal
    return call.get("subscription", subscription["id"])


def _started(call: Call, customer: Obj, currency: str) -> Obj:
    params = call.params
    subscription = subscriptions.build(call, customer, currency, params.get("billing_mode"))
    subscription.update({name: params[name] for name in _PLAIN if name in params})
    merge_metadata(subscription, params)
    subscription["default_payment_method"] = billing.owned_method(
        call, customer["id"], params.get("default_payment_method")
    )
    used = discounts.begin(
        call, params.get("discounts"), customer["id"], "discounts", subscription=subscription["id"]
    )
    subscription["discounts"] = [one["id"] for one in used]
    if params.get("billing_cycle_anchor"):
        if params["billing_cycle_anchor"] <= call.now():
            text = "Invalid timestamp: must be an integer Unix timestamp in the future."
            raise invalid(text, "billing_cycle_anchor")
        subscription["billing_cycle_anchor"] = params["billing_cycle_anchor"]
    billing.start_trial(call, subscription, params)
    if params.get("cancel_at_period_end"):
        subscription["_ends"] = True
    return subscription


def _needs_method(call: Call, subscription: Obj, customer: Obj) -> None:
    """Automatic collection of a first invoice that costs something needs a payment method."""
    known = subscription["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
    free = subscription["status"] == "trialing" or not any(
        one["price"]["unit_amount"] * one["quantity"] for one in subscriptions.items(subscription)
    )
    waits = call.params.get("payment_behavior") == "default_incomplete"
    if known or free or waits or subscription["collection_method"] != "charge_automatically":
        return
    raise invalid(
        "This customer has no attached payment source or default payment method. Please consider adding a "
        "default payment method. For more information, visit https://stripe.com/docs/billing/subscriptions/"
        "payment-methods-setting#payment-method-priority.",
        code="resource_missing",
    )


def _first_invoice(call: Call, subscription: Obj) -> StripeError | None:
    """The invoice of creation: finalized, and charged unless the caller waits for the customer. A refusal comes back."""
    params = call.params
    if subscription.pop("_ends", False):
        last = max(one["current_period_end"] for one in subscriptions.items(subscription))
        billing.set_end(call, subscription, last, True)
    found = subscriptions.items(subscription)
    partial = subscription["billing_cycle_anchor"] > call.now() and subscription["status"] != "trialing"
    if partial:
        made = _until_anchor(call, subscription, params.get("proration_behavior", "create_prorations"))
        invoice = subscriptions.bill(call, subscription, "subscription_create", made, collect=False)
    else:
        invoice = subscriptions.bill_cycle(call, subscription, "subscription_create", found, collect=False)
    if subscription["collection_method"] == "send_invoice":
        call.put({**subscription, "status": "active"})
    if params.get("payment_behavior") == "default_incomplete":
        collection.finalize(call, invoice)
        return None
    done = subscriptions.finish(call, invoice, subscription, bool(params.get("off_session")))
    return subscriptions.refusal_of(done)


def _until_anchor(call: Call, subscription: Obj, behavior: str) -> list[Obj]:
    """The time before a later anchor is prorated, unless it is to be free."""
    for one in subscriptions.items(subscription):
        if behavior != "none":
            whole = (one["current_period_start"], one["current_period_end"])
            one_item = lines.debit(call, subscription, one, call.now(), whole)
            call.put(one_item)
        one["current_period_start"] = call.now()
    return []


@route("get", "/v1/subscriptions/{subscription_exposed_id}")
def retrieve_subscription(call: Call, subscription_exposed_id: str) -> Obj:
    return call.get("subscription", subscription_exposed_id)


@route("get", "/v1/subscriptions")
def list_subscriptions(call: Call) -> Obj:
    """All that are not canceled, unless a status is asked for."""
    params = call.params
    status = params.get("status")
    wanted: Any = None if status == "all" else status
    if status is None:
        wanted = ("active", "incomplete", "past_due", "paused", "trialing", "unpaid")
    return page(call, "subscription", "/v1/subscriptions", customer=params.get("customer"), status=wanted)


@route("delete", "/v1/subscriptions/{subscription_exposed_id}")
def cancel_subscription(call: Call, subscription_exposed_id: str) -> Obj:
    subscription = find(call, subscription_exposed_id)
    if subscription["status"] in ("canceled", "incomplete_expired"):
        raise missing_object("subscription", subscription_exposed_id, "id")
    if call.params.get("prorate"):
        for one in subscriptions.items(subscription):
            lines.credit(call, subscription, one, call.now())
    ended = billing.end(call, subscription)
    details = call.params.get("cancellation_details") or {}
    ended["cancellation_details"].update(details)
    call.put(ended)
    if call.params.get("invoice_now"):
        subscriptions.bill(call, ended, "subscription_update", [])
    return call.get("subscription", subscription_exposed_id)


@route("post", "/v1/subscriptions/{subscription_exposed_id}")
def update_subscription(call: Call, subscription_exposed_id: str) -> Obj:
    return changes.change(call, find(call, subscription_exposed_id), call.params)


@route("post", "/v1/subscriptions/{subscription}/resume")
def resume_subscription(call: Call, subscription: str) -> Obj:
    params = call.params
    anchor = params.get("billing_cycle_anchor", "now")
    kind = anchor["type"] if isinstance(anchor, dict) else anchor
    behavior = params.get("proration_behavior", "create_prorations")
    return billing.resume(call, find(call, subscription), kind, behavior)


def find(call: Call, id: str) -> Obj:
    """A subscription; its customer's test clock is the clock of this call from here on."""
    found = call.get("subscription", id)
    clocked(call, found["customer"], deleted=True)
    return found


@route("get", "/v1/subscription_items/{item}")
def retrieve_item(call: Call, item: str) -> Obj:
    return _of_item(call, item)[1]


@route("get", "/v1/subscription_items")
def list_items(call: Call) -> Obj:
    subscription: Obj = call.get("subscription", call.params["subscription"], "subscription", 400)
    found: Obj = subscription["items"]
    return found


@route("post", "/v1/subscription_items/{item}")
def update_item(call: Call, item: str) -> Obj:
    subscription, _ = _of_item(call, item)
    own = {
        name: call.params[name] for name in ("price", "plan", "price_data", "quantity") if name in call.params
    }
    changes.change(call, subscription, {**_rest(call), "items": [{"id": item, **own}]})
    return _of_item(call, item)[1]


@route("post", "/v1/subscription_items")
def create_item(call: Call) -> Obj:
    subscription = find(call, call.params["subscription"])
    own = {
        name: call.params[name] for name in ("price", "plan", "price_data", "quantity") if name in call.params
    }
    after = changes.change(call, subscription, {**_rest(call), "items": [own]})
    return subscriptions.items(after)[-1]


@route("delete", "/v1/subscription_items/{item}")
def delete_item(call: Call, item: str) -> Obj:
    subscription, _ = _of_item(call, item)
    changes.change(call, subscription, {**_rest(call), "items": [{"id": item, "deleted": True}]})
    return {"id": item, "object": "subscription_item", "deleted": True}


def _rest(call: Call) -> dict[str, Any]:
    names = ("proration_behavior", "proration_date", "payment_behavior", "off_session")
    return {name: call.params[name] for name in names if name in call.params}


def _of_item(call: Call, id: str) -> tuple[Obj, Obj]:
    for subscription in call.engine.store.select("subscription"):
        for one in subscriptions.items(subscription):
            if one["id"] == id:
                return find(call, subscription["id"]), one
    raise missing_object("subscription_item", id, "item")
