"""Subscriptions of the local Stripe, with all the events that it sends for them, in any order and number."""

from __future__ import annotations

import json
import random
from types import SimpleNamespace
from typing import Any

import pytest
import stripe

from local.stripe.routing import changed
from local.stripe.store import public
from shared import stripe_subscriptions as at_stripe
from shared.errors import StripeUnavailable
from tests.workers.test_with_local_stripe import Shop, server, shop
from tests.workers.world import ACCOUNT, CREDIT
from workers import events, subscriptions

__all__ = ["server", "shop"]


def open_checkout(shop: Shop, plan: str = "starter", name: str = "subc_1") -> dict[str, Any]:
    checkout = shop.world.ledger.open_subscription(name, ACCOUNT, plan, shop.customer)
    urls = {"success_url": "https://app.test/ok", "cancel_url": "https://app.test/no"}
    return at_stripe.create_subscription_checkout(shop.client, checkout, **urls)


def subscribe(shop: Shop, plan: str = "starter") -> str:
    """Bought through Checkout; we were not told yet. Answers the subscription's id."""
    return str(shop.control.pay_checkout(open_checkout(shop, plan)["id"])["subscription"])


def history(shop: Shop) -> list[dict[str, Any]]:
    return [event.to_dict() for event in shop.client.v1.events.list({"limit": 100}).data]


def work_off(shop: Shop, event: dict[str, Any], copy: str) -> tuple[str, str | None]:
    """The event under an id of its own, so that each copy is worked off."""
    event = event | {"id": f"{event['id']}_{copy}"}
    raw = json.dumps(event, default=str).encode()  # Stripe writes decimals as strings
    shop.world.ledger.record_stripe_event(event["id"], event["type"], None, False, None, raw, None, None)
    events.process_event(shop.world.app, event["id"])
    return shop.world.event(event["id"])


def deliver(shop: Shop) -> None:
    """Every event so far, each under a new id, the newest first."""
    for event in history(shop):
        work_off(shop, event, str(next(shop.world.ids)))


def change(shop: Shop, subscription_id: str, **changes: Any) -> None:
    """What the customer does in the portal."""

    def work(call: Any) -> Any:
        found = call.get("subscription", subscription_id)
        before = public(found)
        found.update(changes)
        call.put(found)
        call.emit("customer.subscription.updated", found, changed(before, found))
        return found

    shop.control._do(work)


def current(shop: Shop) -> dict[str, Any]:
    found = shop.world.ledger.get_subscription(ACCOUNT)
    assert found is not None
    return dict(found)


def granted(shop: Shop) -> list[float]:
    rows = shop.world.query("select granted from billing.credit_lots where kind = 'subscription' order by id")
    return [row["granted"] / CREDIT for row in rows]


def test_the_first_payment_and_three_renewals_grant_four_times(shop: Shop) -> None:
    subscription_id = subscribe(shop)
    deliver(shop)
    assert (granted(shop), shop.world.balance) == ([500], 600)
    for _ in range(3):
        shop.control.renew(subscription_id)
        deliver(shop)
    assert (granted(shop), shop.world.balance) == ([500] * 4, 2100)
    stripes = shop.client.v1.subscriptions.retrieve(subscription_id).to_dict()["items"]["data"][0]
    period = shop.world.query(
        "select extract(epoch from current_period_end)::bigint as ends from billing.subscriptions"
    )
    assert period == [{"ends": stripes["current_period_end"]}]
    assert (current(shop)["plan"], current(shop)["status"]) == ("starter", "active")
    invoices = shop.world.ledger.list_invoices(ACCOUNT, 10, None)["data"]
    assert [row["status"] for row in invoices] == ["paid"] * 4


def attached(shop: Shop) -> str:
    """A checkout with its Session, as the pages open it. Answers the Session's id."""
    session = open_checkout(shop)
    shop.world.ledger.attach_subscription_session("subc_1", session["id"], session["url"])
    return str(session["id"])


def test_a_buyer_who_is_back_gets_plan_and_credits_without_any_event(shop: Shop) -> None:
    session = attached(shop)
    subscriptions.check_subscription(shop.world.app, "subc_1")
    assert shop.world.ledger.get_subscription(ACCOUNT) is None
    shop.control.pay_checkout(session)
    for _ in range(2):
        subscriptions.check_subscription(shop.world.app, "subc_1")
        assert (granted(shop), current(shop)["status"]) == ([500], "active")
    found = shop.world.ledger.get_subscription_checkout("subc_1")
    assert found is not None
    assert (found["state"], found["credits"]) == ("done", 500 * CREDIT)
    asked = len(shop.control.requests())
    subscriptions.check_subscription(shop.world.app, "subc_1")
    subscriptions.check_subscription(shop.world.app, "subc_none")
    assert len(shop.control.requests()) == asked
    deliver(shop)
    assert granted(shop) == [500]


def test_a_check_that_stripe_does_not_answer_is_left_to_the_events(shop: Shop) -> None:
    session = attached(shop)
    shop.control.pay_checkout(session)
    shop.control.fail(kind=500, path="/v1/invoices/*", times=9)
    subscriptions.check_subscription(shop.world.app, "subc_1")
    assert granted(shop) == []
    shop.control.clear_faults()
    subscriptions.check_subscription(shop.world.app, "subc_1")
    assert granted(shop) == [500]


def test_nothing_of_ours_changes_a_subscription(shop: Shop) -> None:
    subscription_id = subscribe(shop)
    shop.control.renew(subscription_id)
    deliver(shop)
    deliver(shop)
    asked = shop.control.requests(path="/v1/subscription*") + shop.control.requests(path="/v1/invoice*")
    assert asked
    assert {request["method"] for request in asked} == {"GET"}
    made = {request["path"] for request in shop.control.requests(method="POST")}
    assert made <= {
        "/v1/customers",
        "/v1/payment_methods/pm_card_visa/attach",
        "/v1/products",
        "/v1/checkout/sessions",
    }


def test_any_order_and_number_of_the_events_ends_in_the_same_books(shop: Shop) -> None:
    """15 seeds: the whole history, each event three times; then from empty books again."""
    subscription_id = subscribe(shop)
    for amount, reason in (
        (None, "subscription_cycle"),
        (700, "subscription_update"),
        (0, "subscription_cycle"),
    ):
        shop.control.renew(subscription_id, amount, reason)
    shop.control.renew(subscription_id)
    change(shop, subscription_id, cancel_at_period_end=True)
    told = history(shop)
    found = set()
    for seed in range(15):
        shuffled = told * 3
        random.Random(seed).shuffle(shuffled)
        for number, event in enumerate(shuffled):
            state, reason = work_off(shop, event, f"{seed}_{number}")
            assert state in ("done", "ignored"), (event["type"], reason)
        shop.world.assert_sound()
        lots = shop.world.query(
            "select source, granted, remaining, paid_amount from billing.credit_lots where kind = 'subscription' order by 1"
        )
        invoices = shop.world.query(
            "select id, status, amount_due, amount_paid, billing_reason from billing.invoices order by 1"
        )
        mirrored = {
            name: value for name, value in current(shop).items() if name not in ("created_at", "updated_at")
        }
        found.add(json.dumps([lots, invoices, mirrored, shop.world.balance], default=str))
        # 7 dollars of 19 for more of the plan within its cycle: their share of it.
        assert sorted(granted(shop)) == [184.210526, 500, 500, 500]
        assert (len(invoices), mirrored["cancel_at_period_end"]) == (5, True)
        forget(shop)
    assert len(found) == 1


def forget(shop: Shop) -> None:
    """Empty books of subscriptions, as after the loss of a database."""
    shop.world.query(
        "begin; set local session_replication_role = replica;"
        "delete from billing.subscription_grants; delete from billing.invoice_lines;"
        "delete from billing.invoices; delete from billing.subscriptions;"
        "delete from billing.credit_transactions where kind = 'subscription';"
        "delete from billing.credit_lots where kind = 'subscription';"
        "delete from billing.outbox where topic = 'subscription.credits_granted';"
        "update billing.credit_balances set balance = 100000000; commit"
    )


def test_an_older_event_of_a_subscription_does_not_set_it_back(shop: Shop) -> None:
    subscription_id = subscribe(shop)
    change(shop, subscription_id, cancel_at_period_end=True)
    shop.client.v1.subscriptions.cancel(subscription_id)
    told = [event for event in history(shop) if event["type"].startswith("customer.subscription.")]
    kinds = [event["type"].rpartition(".")[2] for event in told]
    assert kinds == [
        "deleted",
        "updated",
        "updated",
        "created",
    ]  # created as incomplete, active once it is paid
    for number, event in enumerate(told):
        work_off(shop, event, str(number))
        assert current(shop)["status"] == "canceled"
    deliver(shop)
    assert shop.world.balance == 600  # what was paid for stays


def test_the_invoice_alone_is_enough_to_know_the_subscription(shop: Shop) -> None:
    subscribe(shop)
    paid = next(event for event in history(shop) if event["type"] == "invoice.paid")
    assert work_off(shop, paid, "1") == ("done", None)
    assert (current(shop)["status"], shop.world.balance) == ("active", 600)


def test_a_renewal_that_is_not_paid_is_kept_and_grants_nothing(shop: Shop) -> None:
    subscription_id = subscribe(shop)
    deliver(shop)
    shop.control.behave(shop.customer, decline_code="insufficient_funds")
    shop.control.renew(subscription_id)
    deliver(shop)
    assert (current(shop)["status"], granted(shop)) == ("past_due", [500])
    invoices = shop.world.ledger.list_invoices(ACCOUNT, 10, None)["data"]
    assert sorted(row["status"] for row in invoices) == ["open", "paid"]
    shop.world.spend(550)  # its status does not touch credits


def test_a_change_of_plan_grants_the_share_that_was_paid_and_the_whole_from_the_next_cycle_on(
    shop: Shop,
) -> None:
    subscription_id = subscribe(shop)
    deliver(shop)
    shop.client.v1.products.create({"id": "refill_plan_pro", "name": "Pro"})
    price = shop.client.v1.prices.create(
        {
            "product": "refill_plan_pro",
            "unit_amount": 7900,
            "currency": "usd",
            "recurring": {"interval": "month"},
        }
    )
    found = shop.client.v1.subscriptions.retrieve(subscription_id).to_dict()
    found["items"]["data"][0]["price"] = price.to_dict()
    change(shop, subscription_id, items=json.loads(json.dumps(found["items"], default=str)))
    shop.control.renew(subscription_id, 6000, "subscription_update")
    deliver(shop)
    assert (current(shop)["plan"], granted(shop)) == ("pro", [500, 1898.734177])
    shop.control.renew(subscription_id)
    deliver(shop)
    assert granted(shop) == [500, 1898.734177, 2500]


def test_a_plan_with_a_price_at_stripe_sells_that_price(shop: Shop) -> None:
    product = shop.client.v1.products.create({"name": "Everything"})
    price = shop.client.v1.prices.create(
        {"product": product.id, "unit_amount": 2500, "currency": "usd", "recurring": {"interval": "month"}}
    )
    shop.world.query("update billing.subscription_plans set stripe_price_id = %s where id = 'pro'", price.id)
    subscribe(shop, "pro")
    deliver(shop)
    lot = shop.world.query("select granted, paid_amount from billing.credit_lots where kind = 'subscription'")
    assert lot == [{"granted": 2500 * CREDIT, "paid_amount": 2500}]


def test_another_customers_subscription_is_ignored_without_being_read(shop: Shop) -> None:
    other = shop.client.v1.customers.create({"name": "Other", "email": "o@example.com"}).id
    price = {
        "currency": "usd",
        "unit_amount": 900,
        "product_data": {"name": "Else"},
        "recurring": {"interval": "month"},
    }
    session = shop.client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": other,
            "line_items": [{"price_data": price, "quantity": 1}],  # type: ignore[typeddict-item]
            "success_url": "https://x.test",
        }
    )
    shop.control.renew(str(shop.control.pay_checkout(session.id)["subscription"]))
    deliver(shop)
    states = {
        row["state"]
        for row in shop.world.query(
            "select state from billing.stripe_events where type similar to '(invoice|customer.subscription).%%'"
        )
    }
    assert (states, granted(shop), shop.world.balance) == ({"ignored"}, [], 100)
    assert shop.control.requests(method="GET", path="/v1/invoices*") == []


def test_our_customers_subscription_to_something_else_is_kept_and_grants_nothing(shop: Shop) -> None:
    price = {
        "currency": "usd",
        "unit_amount": 900,
        "product_data": {"name": "Support"},
        "recurring": {"interval": "month"},
    }
    session = shop.client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": shop.customer,
            "line_items": [{"price_data": price, "quantity": 1}],  # type: ignore[typeddict-item]
            "success_url": "https://x.test",
        }
    )
    shop.control.pay_checkout(session.id)
    deliver(shop)
    assert (granted(shop), shop.world.ledger.get_subscription(ACCOUNT)) == ([], None)
    assert len(shop.world.ledger.list_invoices(ACCOUNT, 10, None)["data"]) == 1


def test_metadata_of_another_account_park_the_event(shop: Shop) -> None:
    subscription_id = subscribe(shop)
    change(shop, subscription_id, metadata={"refill_account_id": "acct_other"})
    shop.control.renew(subscription_id)
    told = {event["type"]: event for event in reversed(history(shop))}
    for name in ("customer.subscription.updated", "invoice.paid"):
        assert work_off(shop, told[name], "1") == ("parked", "account_mismatch")
    assert shop.world.balance == 100


def test_readings_that_are_overtaken_five_times_are_left_for_later(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription_id = subscribe(shop)
    monkeypatch.setattr(shop.world.app.ledger, "get_mirror_version", lambda _id: 7)
    with pytest.raises(StripeUnavailable):
        subscriptions.follow_subscription(shop.world.app, subscription_id)


def test_a_repeated_checkout_is_the_same_and_the_product_may_exist(shop: Shop) -> None:
    first = open_checkout(shop)
    products = shop.client.v1.products
    again = SimpleNamespace(
        v1=SimpleNamespace(products=SimpleNamespace(create=exists), checkout=shop.client.v1.checkout)
    )
    checkout = shop.world.ledger.open_subscription("subc_1", ACCOUNT, "starter", shop.customer)
    urls = {"success_url": "https://app.test/ok", "cancel_url": "https://app.test/no"}
    client: Any = again
    assert at_stripe.create_subscription_checkout(client, checkout, **urls)["id"] == first["id"]
    assert products.retrieve("refill_plan_starter").name == "Starter"


def exists(*_a: Any, **_k: Any) -> None:
    body = {"error": {"code": "resource_already_exists", "message": "Product already exists."}}
    raise stripe.InvalidRequestError("exists", "id", http_status=400, json_body=body)


def test_lines_beyond_the_first_page_are_read_too() -> None:
    line = {"id": "il_1", "amount": 1, "period": {"start": 1, "end": 2}, "quantity": None}
    more = [SimpleNamespace(to_dict=lambda n=n: line | {"id": f"il_{n}"}) for n in range(1, 13)]
    invoice = SimpleNamespace(to_dict=lambda: {"id": "in_1", "lines": {"data": [line], "has_more": True}})
    items = SimpleNamespace(list=lambda *_a: SimpleNamespace(auto_paging_iter=lambda: iter(more)))
    client: Any = SimpleNamespace(
        v1=SimpleNamespace(invoices=SimpleNamespace(retrieve=lambda _id: invoice, line_items=items))
    )
    facts = at_stripe.facts_of_invoice(at_stripe.retrieve_invoice(client, "in_1"))
    assert [found["id"] for found in facts["lines"]] == [f"il_{n}" for n in range(1, 13)]
    assert facts["lines"][0]["quantity"] == 1


def test_a_discount_and_the_first_page_of_lines_are_in_the_facts() -> None:
    line = {
        "id": "il_1",
        "amount": 1900,
        "discount_amounts": [{"amount": 950, "discount": "di_1"}],
        "period": {"start": 1, "end": 2},
        "quantity": 2,
        "parent": {"subscription_item_details": {"subscription": "sub_1", "proration": False}},
        "pricing": {"price_details": {"price": "price_1", "product": "prod_1"}},
    }
    facts = at_stripe.facts_of_invoice({"id": "in_1", "lines": {"data": [line]}, "period_start": 0})
    assert facts["lines"] == [
        {
            "id": "il_1",
            "price": "price_1",
            "product": "prod_1",
            "subscription": "sub_1",
            "proration": False,
            "credited": None,
            "quantity": 2,
            "amount": 950,
            "gross": 1900,
            "discount_inside": False,
            "unit_amount": None,
            "interval": None,
            "interval_count": None,
            "usage_type": None,
            "period_start": 1,
            "period_end": 2,
        }
    ]
    assert (facts["period_start"], facts["period_end"]) == (1, 2)
