"""Events of other API versions, other sellers and no sense at all: none crashes, none sets a mirror back, each has an end.

The set is made of the local Stripe's own events: one of each type, changed in every way below. REFILL_FOREIGN_EVENTS may
name a folder of recorded events (*.json) besides, which are told as they are and as our customer's.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workers.test_subscriptions import history, subscribe, work_off
from tests.workers.test_with_local_stripe import Shop, server, shop
from tests.workers.world import ACCOUNT
from workers import events

__all__ = ["server", "shop"]

Subject = dict[str, Any]
DELETED = {"object": "customer", "deleted": True}


def older_invoice(subject: Subject) -> None:
    """Before basil an invoice named its subscription, PaymentIntent and charge itself."""
    details = (subject.pop("parent", None) or {}).get("subscription_details") or {}
    subject |= {
        "subscription": details.get("subscription"),
        "payment_intent": "pi_old",
        "charge": "ch_old",
        "paid": True,
    }


def older_charge(subject: Subject) -> None:
    """Before 2022-11-15 a charge listed its refunds; before basil it named its invoice."""
    subject |= {"refunds": {"object": "list", "data": [{"id": "re_old", "amount": 1}]}, "invoice": "in_old"}


def older_subscription(subject: Subject) -> None:
    """Before basil periods stood on the subscription."""
    subject |= {"current_period_start": 1, "current_period_end": 2, "plan": {"id": "plan_old"}}
    subject.pop("items", None)


def without(*names: str) -> Callable[[Subject], None]:
    def change(subject: Subject) -> None:
        for name in names:
            subject.pop(name, None)

    return change


def with_(**changes: Any) -> Callable[[Subject], None]:
    return lambda subject: subject.update(copy.deepcopy(changes))


def only_its_id(subject: Subject) -> None:
    for name in set(subject) - {"id", "object"}:
        del subject[name]


CHANGES: dict[str, Callable[[Subject], None]] = {
    "as it is": lambda _subject: None,
    "older invoice": older_invoice,
    "older charge": older_charge,
    "older subscription": older_subscription,
    "no customer": without("customer"),
    "null customer": with_(customer=None),
    "deleted customer": lambda s: s.update(customer=DELETED | {"id": s.get("customer")}),
    "somebody else's customer": with_(customer="cus_else"),
    "odd customer": with_(customer=["cus"]),
    "no links": without("payment_intent", "charge", "invoice", "subscription", "payment_method"),
    "odd links": with_(payment_intent=7, charge={"id": None}, invoice=[], subscription={}),
    "no metadata": with_(metadata=None),
    "odd metadata": with_(metadata={"refill_payment_id": "pay_else", "refill_account_id": ACCOUNT}),
    "metadata in a list": with_(metadata=["refill_payment_id"]),
    "another currency": with_(currency="jpy", amount=1, amount_paid=1, amount_refunded=10**18),
    "unknown status": with_(status="brand_new", payment_status="brand_new"),
    "no lines": with_(lines=None, items=None),
    "unknown id": lambda s: s.update(id=f"{s['id']}x"),
    "odd id": with_(id=None),
    "only its id": only_its_id,
}


def variants(told: list[Subject]) -> Iterator[Subject]:
    """One event of each type that is handled, in every changed form."""
    newest = {event["type"]: event for event in reversed(told) if event["type"] in events.HANDLERS}
    for event in newest.values():
        for change in CHANGES.values():
            made = copy.deepcopy(event)
            change(made["data"]["object"])
            yield made


def foreign(customer: str) -> Iterator[Subject]:
    folder = os.environ.get("REFILL_FOREIGN_EVENTS")
    for path in sorted(Path(folder).rglob("*.json")) if folder else ():
        event = json.loads(path.read_text())
        yield event
        if event["type"] == "customer.deleted":
            continue  # of a customer that exists Stripe never says so; a deletion is final and not asked about
        again = copy.deepcopy(event)
        subject = again["data"]["object"]
        subject["id" if subject.get("object") == "customer" else "customer"] = customer
        yield again


def mirrors(shop: Shop) -> dict[str, Any]:
    """What the books hold of Stripe's objects, without the counters of readings."""
    queries = {
        "subscriptions": "select id, status, cancel_at_period_end, current_period_end::text from billing.subscriptions",
        "invoices": "select id, status, amount_due, amount_paid, currency, subscription_id from billing.invoices",
        "methods": "select id, is_attached, last4, exp_year from billing.payment_methods",
        "customers": "select stripe_customer_id, deleted_at::text, default_payment_method from billing.customers",
        "payments": "select id, status, credits, refunded_credits, disputed_credits from billing.payments",
        "reversals": "select id, status, is_taken, is_open from billing.payment_reversals where kind <> 'fraud_warning'",
        "lots": "select source, granted, remaining from billing.credit_lots",
        "balance": "select balance, status::text from billing.credit_balances",
    }
    return {name: shop.world.query(f"{query} order by 1") for name, query in queries.items()}


def live(shop: Shop) -> None:
    """Something of everything that Stripe has events for."""
    subscription_id = subscribe(shop)
    shop.control.renew(subscription_id)
    shop.control.behave(shop.customer, decline_code="insufficient_funds", times=1)
    shop.control.renew(subscription_id)
    bought = shop.purchase()
    shop.control.pay_checkout(bought["stripe_checkout_session_id"])
    paid = shop.client.v1.checkout.sessions.retrieve(bought["stripe_checkout_session_id"])
    intent = shop.client.v1.payment_intents.retrieve(str(paid.payment_intent))
    refunded = shop.client.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
    shop.control.fail_refund(refunded.id)
    disputed = shop.control.open_dispute(str(intent.latest_charge), amount=250)
    shop.control.close_dispute(disputed["id"], won=True)
    abandoned = shop.purchase()
    shop.control.expire_checkout(abandoned["stripe_checkout_session_id"])
    method = shop.client.v1.payment_methods.attach("pm_card_mastercard", {"customer": shop.customer})
    shop.control.update_card(method.id)
    shop.client.v1.payment_methods.detach(method.id)
    shop.client.v1.customers.update(shop.customer, {"name": "Changed"})


@pytest.mark.parametrize("seed", range(2))
def test_foreign_events_end_and_leave_the_mirrors_as_stripe_has_them(shop: Shop, seed: int) -> None:
    live(shop)
    told = history(shop)
    for event in told:
        work_off(shop, event, "first")
    before = mirrors(shop)
    assert all(before.values())
    made = [*variants(told), *foreign(shop.customer)] * 2
    random.Random(seed).shuffle(made)
    ends: Counter[str] = Counter()
    for number, event in enumerate(made):
        state, reason = work_off(shop, event, f"{seed}_{number}")
        assert state in ("done", "ignored", "parked"), (event["type"], state, reason)
        assert reason is not None or state == "done", event["type"]
        ends[f"{state} {reason or ''}"] += 1
    assert {"done ", "ignored not_ours", "parked malformed: no usable id"} <= set(ends), ends
    assert mirrors(shop) == before


def test_the_set_has_every_type_that_the_local_stripe_sends(shop: Shop) -> None:
    live(shop)
    sent = {event["type"] for event in history(shop)} & set(events.HANDLERS)
    assert len(sent) >= 20, sorted(set(events.HANDLERS) - sent)
    assert len(list(variants(history(shop)))) == len(sent) * len(CHANGES)
