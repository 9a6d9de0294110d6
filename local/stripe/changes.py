"""`POST /v1/subscriptions/ID`: what a change does to items, periods, prorations and invoices."""

from __future__ import annotations

import copy
from typing import Any

from local.stripe import billing, discounts, lines, subscriptions
from local.stripe.engine import Call
from local.stripe.errors import invalid, missing_object
from local.stripe.routing import changed, merge_metadata
from local.stripe.store import Obj, public

_DEAD = ("canceled", "incomplete_expired")
_ALLOWED_WHEN_DEAD = {"metadata", "cancellation_details", "expand"}
_COPIED = ("description", "collection_method", "days_until_due", "pause_collection", "trial_settings")


def change(call: Call, subscription: Obj, params: dict[str, Any]) -> Obj:
    """Apply an update; the subscription as it is afterwards. Raises the 402 only for `error_if_incomplete`."""
    if subscription["status"] in _DEAD and set(params) - _ALLOWED_WHEN_DEAD:
        raise invalid("A canceled subscription can only update its cancellation_details and metadata.")
    if params.get("payment_behavior") == "pending_if_incomplete":
        raise invalid("The local Stripe has no pending updates.", "payment_behavior")
    before = public(subscription)
    with call.engine.tentative() as undo:
        invoice = _Change(call, subscription, params).apply()
        refusal = subscriptions.refusal_of(invoice) if invoice else None
        if refusal and params.get("payment_behavior") == "error_if_incomplete":
            undo.append(True)
    if refusal and undo:
        raise refusal
    after = call.get("subscription", subscription["id"])
    difference = changed(before, public(after))
    if difference:
        call.emit("customer.subscription.updated", after, difference)
    return after


def preview(call: Call, subscription: Obj, params: dict[str, Any]) -> Obj:
    """The invoice that a change, or else the next renewal, would make. Nothing stays."""
    with call.engine.tentative() as undo:
        undo.append(True)
        invoice = _Change(call, subscription, params, collect=False).apply()
        return invoice or _next_cycle(call, call.get("subscription", subscription["id"]))


def _next_cycle(call: Call, subscription: Obj) -> Obj:
    found = subscriptions.items(subscription)
    if not found:
        raise invalid("No upcoming invoices for customer.", code="invoice_upcoming_none")
    call.at = min(one["current_period_end"] for one in found)
    return billing.roll(call, subscription, "subscription_cycle", collect=False)


class _Change:
    def __init__(self, call: Call, subscription: Obj, params: dict[str, Any], collect: bool = True) -> None:
        self.call = call
        self.it = subscription
        self.params = params
        self.collect = collect
        self.behavior = params.get("proration_behavior", "create_prorations")
        self.classic = subscription["billing_mode"]["type"] == "classic"
        self.was_trialing = subscription["status"] == "trialing"
        self.old = copy.deepcopy(subscriptions.items(subscription))
        self.moment = self._moment()

    def _moment(self) -> int:
        given = self.params.get("proration_date")
        if given is None:
            return self.call.now()
        starts = [one["current_period_start"] for one in self.old]
        ends = [one["current_period_end"] for one in self.old]
        if starts and not min(starts) <= given <= max(ends):
            text = "Invalid proration date. Proration date must be within the current subscription billing period."
            raise invalid(text, "proration_date")
        return int(given)

    def apply(self) -> Obj | None:
        """Do it; the invoice that it made at once, if any."""
        self._plain()
        resets = self._trial()
        if "items" in self.params:
            self._items(self.params["items"])
        anchor = (self.params.get("billing_cycle_anchor") or {}).get("type")
        if self.it["status"] == "trialing":
            return self._in_trial(resets)
        if anchor == "now" or resets or (self.params.get("items") and self._reset_by_items()):
            return self._new_cycle()
        return self._within_cycle()

    def _plain(self) -> None:
        params, it, call = self.params, self.it, self.call
        it.update({name: params[name] for name in _COPIED if name in params})
        if it["pause_collection"]:
            it["pause_collection"] = {"resumes_at": None, **it["pause_collection"]}
        merge_metadata(it, params)
        if "default_payment_method" in params:
            it["default_payment_method"] = billing.owned_method(
                call, it["customer"], params["default_payment_method"]
            )
        if "discounts" in params:
            found = discounts.begin(
                call, params["discounts"], it["customer"], "discounts", subscription=it["id"]
            )
            it["discounts"] = [one["id"] for one in found]
        ends = max((one["current_period_end"] for one in self.old), default=None)
        if "cancel_at_period_end" in params:
            billing.set_end(
                call, it, ends if params["cancel_at_period_end"] else None, params["cancel_at_period_end"]
            )
        if "cancel_at" in params:
            given = params["cancel_at"]
            if isinstance(given, str):
                least = min(one["current_period_end"] for one in self.old)
                given = least if given == "min_period_end" else ends
            billing.set_end(call, it, given, False)
        call.put(it)

    def _trial(self) -> bool:
        """Whether the trial ends now, by this change. A later end puts the subscription on trial."""
        given = self.params.get("trial_end")
        if given is None:
            return False
        if given == "now":
            if not self.was_trialing:
                return False
            self.it.update(trial_end=self.call.now(), status="active")
            return True
        if given <= self.call.now():
            raise invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", "trial_end")
        start = self.it["trial_start"] if self.was_trialing else self.call.now()
        self.it.update(trial_start=start, trial_end=given, status="trialing", billing_cycle_anchor=given)
        return False

    def _items(self, given: list[dict[str, Any]]) -> None:
        found = subscriptions.items(self.it)
        known = {one["id"]: one for one in found}
        for number, entry in enumerate(given):
            param = f"items[{number}]"
            if "id" not in entry:
                price = subscriptions.price_of(self.call, entry, param, self.it["currency"])
                found.append(subscriptions.item(self.call, self.it, price, _quantity(entry, param)))
                continue
            one = known.get(entry["id"])
            if one is None:
                raise missing_object("subscription item", entry["id"], f"{param}[id]", 400)
            if entry.get("deleted"):
                found.remove(one)
                continue
            if any(entry.get(name) for name in ("price", "plan", "price_data")):
                one["price"] = subscriptions.price_of(self.call, entry, param, self.it["currency"])
                one["plan"] = subscriptions.plan(one["price"])
                one["quantity"] = _quantity(entry, param)
            elif "quantity" in entry:
                one["quantity"] = _quantity(entry, param)
        if not found:
            raise invalid("A subscription must have at least one active item.", "items")

    def _pairs(self) -> list[tuple[Obj, Obj | None]]:
        """Items as they were, with what became of each; None was deleted."""
        now = {one["id"]: one for one in subscriptions.items(self.it)}
        return [(one, now.get(one["id"])) for one in self.old]

    def _reset_by_items(self) -> bool:
        """Another interval, or the first price that costs something, is billed at once."""
        pairs = [(one, new) for one, new in self._pairs() if new is not None]
        interval = any(_unit(one) != _unit(new) for one, new in pairs)
        replaced = not pairs and {str(_unit(one)) for one in self.old} != {
            str(_unit(one)) for one in subscriptions.items(self.it)
        }
        paid = not any(_full(one) for one in self.old) and any(map(_full, subscriptions.items(self.it)))
        return interval or replaced or paid

    def _in_trial(self, _resets: bool) -> Obj | None:
        """Nothing is prorated during a trial. One that begins now gives unused time back and is invoiced."""
        if not self.was_trialing and self.behavior != "none":
            for one in self.old:
                lines.credit(self.call, self.it, one, self.moment)
        for one in subscriptions.items(self.it):
            one.pop("_billed", None)
            subscriptions.place(self.call, self.it, one)
        self.call.put(self.it)
        if self.was_trialing:
            return None
        found = subscriptions.items(self.it)
        return subscriptions.bill_cycle(self.call, self.it, "subscription_update", found, self.collect)

    def _new_cycle(self) -> Obj | None:
        """Bill a cycle now. With prorations in flexible mode both sides are prorations, else the new cycle is whole."""
        call, it, found = self.call, self.it, subscriptions.items(self.it)
        anchor = (self.params.get("billing_cycle_anchor") or {}).get("type")
        prorates = self.behavior != "none" and not self.was_trialing
        if prorates:
            for one in self.old:
                lines.credit(call, it, one, self.moment)
        if self.classic or self.was_trialing or anchor == "now" or not prorates:
            it["billing_cycle_anchor"] = call.now()
        for one in found:
            one.pop("_billed", None)
            subscriptions.place(call, it, one)
        if not prorates or self.classic:
            return self._billed([lines.cycle(call, it, one) for one in found])
        for one in found:
            whole = (one["current_period_start"], one["current_period_end"])
            lines.debit(call, it, one, max(self.moment, whole[0]), whole)
        return self._billed([])

    def _within_cycle(self) -> Obj | None:
        call, it = self.call, self.it
        made = 0
        if self.behavior != "none" and "items" in self.params:
            made = self._prorate()
        call.put(it)
        if self.behavior == "always_invoice" and made:
            return self._billed([])
        return None

    def _prorate(self) -> int:
        made = 0
        for one, new in self._pairs():
            if new is not None and (_full(one), one["price"]["id"]) == (_full(new), new["price"]["id"]):
                continue
            made += lines.credit(self.call, self.it, one, self.moment) is not None
            if new is not None:
                self._debit(new)
                made += 1
        known = {one["id"] for one in self.old}
        for new in subscriptions.items(self.it):
            if new["id"] not in known:
                self._debit(new)
                made += 1
        return made

    def _debit(self, one: Obj) -> None:
        whole = (one["current_period_start"], one["current_period_end"])
        item = lines.debit(self.call, self.it, one, self.moment, whole)
        one["_billed"] = {"amount": item["amount"], "from": self.moment, "invoice": None, "item": item["id"]}

    def _billed(self, made: list[Obj]) -> Obj:
        return subscriptions.bill(
            self.call,
            self.it,
            "subscription_update",
            made,
            self.collect,
            bool(self.params.get("off_session")),
        )


def _quantity(entry: dict[str, Any], param: str) -> int:
    quantity = int(entry.get("quantity", 1))
    if quantity < 0:
        text = "This value must be greater than or equal to 0."
        raise invalid(text, f"{param}[quantity]", "parameter_invalid_integer")
    return quantity


def _unit(one: Obj) -> tuple[str, int]:
    unit = lines.recurring(one["price"])
    return unit["interval"], unit["interval_count"]


def _full(one: Obj) -> int:
    return int(one["price"]["unit_amount"]) * int(one["quantity"])
