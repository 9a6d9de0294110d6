"""Customers at Stripe: made again, made once, past saved failures and refused addresses; over the local Stripe."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.customers import customer_of
from shared.stripe_client import StripeGateway
from tests.support import Database
from tests.web.test_payment_methods import Shop, server, shop

__all__ = ["server", "shop"]
CHECKOUT, INTENT = "/api/billing/checkout-sessions", "/api/create-payment-intent"
SETUP, PORTAL = "/api/billing/setup-intents", "/api/billing/portal-sessions"
PACKAGE = {"package_id": "credits_250"}
CUSTOMERS = "/v1/customers"
WAYS: list[tuple[str, dict[str, Any]]] = [
    (CHECKOUT, PACKAGE),
    (CHECKOUT, {"plan_id": "starter"}),
    (INTENT, PACKAGE),
    (SETUP, {}),
    (PORTAL, {}),
]
EVERY_WAY = pytest.mark.parametrize(
    ("path", "body"), WAYS, ids=["buy", "subscribe", "intent", "setup", "portal"]
)


def customers(shop: Shop) -> list[Any]:
    return list(shop.stripe.v1.customers.list({"limit": 100}).data)


def made(shop: Shop) -> list[dict[str, Any]]:
    """The requests that made a customer, or tried to."""
    return list(shop.local.control.requests(method="POST", path=CUSTOMERS))


def vanish(shop: Shop, how: str) -> str:
    """The account's customer goes, and no event says so."""
    gone = shop.customer
    if how == "deleted":
        shop.stripe.v1.customers.delete(gone)
    else:  # the database of another mode, or of another Stripe account
        shop.local.control.reset()
    return gone


@EVERY_WAY
@pytest.mark.parametrize("how", ["deleted", "foreign"])
def test_a_vanished_customer_is_made_again_on_every_path(
    shop: Shop,
    path: str,
    body: dict[str, Any],
    how: str,
) -> None:
    shop.choose(shop.add())
    shop.enable()
    gone = vanish(shop, how)
    answer = shop.post(path, body)
    assert answer.status_code == 201, answer.json
    assert shop.customer != gone
    assert [customer.id for customer in customers(shop)] == [shop.customer]
    assert shop.listed() == []
    state = shop.client.get("/api/billing/auto-topup", headers=shop.headers).json
    assert (state["enabled"], state["paused_reason"]) == (True, "no_payment_method")


@pytest.mark.parametrize("how", ["deleted", "foreign"])
def test_choosing_and_removing_a_card_of_a_vanished_customer_forgets_both(shop: Shop, how: str) -> None:
    first = shop.add()
    shop.choose(first)
    shop.enable()
    vanish(shop, how)
    assert shop.choose(first).status_code == 404
    assert shop.listed() == []
    assert shop.paused() == "no_payment_method"
    assert shop.post(SETUP).status_code == 201
    again = shop.add()
    assert shop.choose(again).status_code == 200
    vanish(shop, how)
    assert shop.remove(again).status_code == 200
    assert shop.listed() == []


def test_a_customer_that_keeps_vanishing_ends_in_a_refusal_and_not_in_a_loop(shop: Shop) -> None:
    shop.post(SETUP)
    fault = {
        "kind": 400,
        "code": "resource_missing",
        "param": "customer",
        "message": "No such customer: 'cus_1'",
    }
    shop.local.control.fail(**fault, path="/v1/checkout/sessions", method="POST", times=2)
    answer = shop.post(CHECKOUT, PACKAGE)
    assert (answer.status_code, answer.json["code"]) == (409, "customer_missing")
    assert len(made(shop)) == 2
    assert shop.post(CHECKOUT, PACKAGE).status_code == 201


def test_a_purchase_that_stripe_has_seen_goes_on_with_the_new_customer(shop: Shop) -> None:
    shop.post(SETUP)
    shop.local.control.fail(kind=503, path="/v1/checkout/sessions", method="POST", times=3)
    once = {"Idempotency-Key": "order-1"}
    assert shop.post(CHECKOUT, PACKAGE, **once).status_code == 503
    gone = vanish(shop, "deleted")
    bought = shop.post(CHECKOUT, PACKAGE, **once)
    assert bought.status_code == 201
    payment = shop.ledger.get_payment(bought.json["id"])
    assert payment is not None
    assert payment["stripe_customer_id"] == shop.customer != gone


ADDRESSES = [
    "a@localhost", "someone@gmail", "böb@example.com", "a,b@example.com", "x\uff20y@example.com",
    "a..b@example.com", "name@-example.com", "with@two@example.com",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_stripe_refuses_is_left_out_and_flagged_and_buying_works(
    shop: Shop,
    database: Database,
    address: str,
) -> None:
    with database.connect() as connection:
        connection.execute("update billing.accounts set email = %s where id = 'acme'", (address,))
    shop.local.control.fail(
        kind=400,
        code="email_invalid",
        param="email",
        message="Invalid email address",
        path=CUSTOMERS,
        method="POST",
    )
    assert shop.post(CHECKOUT, PACKAGE).status_code == 201
    shop.local.control.clear_faults()
    assert [customer.email for customer in customers(shop)] == [None]
    assert shop.ledger.get_account("acme")["email_refused"] is True
    assert shop.post(SETUP).status_code == 201
    assert len(customers(shop)) == 1
    with database.connect() as connection:
        told = connection.execute("select count(*) from billing.outbox where topic = 'account.email_refused'")
        assert told.fetchone() == (1,)
    shop.ledger.edit_account("acme", None, "good@example.com", "tests")
    assert shop.ledger.get_account("acme")["email_refused"] is False


def test_one_saved_500_that_made_nothing_blocks_nobody(shop: Shop) -> None:
    shop.local.control.fail(kind=500, path=CUSTOMERS, method="POST", stage="before", saved=True)
    assert shop.post(CHECKOUT, PACKAGE).status_code == 201
    assert len(customers(shop)) == 1
    assert len({request["idempotency_key"] for request in made(shop)}) == 2


def test_one_saved_500_that_made_the_customer_finds_it(shop: Shop) -> None:
    shop.local.control.fail(kind=500, path=CUSTOMERS, method="POST", stage="after", saved=True)
    assert shop.post(CHECKOUT, PACKAGE).status_code == 201
    assert [customer.id for customer in customers(shop)] == [shop.customer]
    assert len({request["idempotency_key"] for request in made(shop)}) == 1


@pytest.mark.parametrize("stage", ["before", "after"])
@pytest.mark.parametrize("change", ["email", "name", "both"])
def test_a_lost_answer_and_then_another_name_or_address_make_one_customer(
    shop: Shop,
    stage: str,
    change: str,
) -> None:
    shop.local.control.fail(kind="cut", path=CUSTOMERS, method="POST", stage=stage, times=3)
    assert shop.post(CHECKOUT, PACKAGE).status_code == 503
    shop.ledger.edit_account(
        "acme",
        "Acme Ltd" if change != "email" else None,
        "new@example.com" if change != "name" else None,
        "tests",
    )
    assert shop.post(CHECKOUT, PACKAGE).status_code == 201
    assert [customer.id for customer in customers(shop)] == [shop.customer]


def test_a_release_that_sends_another_parameter_finds_the_customer_that_the_former_made(
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop.local.control.fail(kind="cut", path=CUSTOMERS, method="POST", stage="after", times=3)
    assert shop.post(CHECKOUT, PACKAGE).status_code == 503
    create = type(shop.stripe.v1.customers).create

    def released(self: Any, params: Any, options: Any = None) -> Any:
        return create(self, {**params, "description": "an account of Refill"}, options)

    monkeypatch.setattr(type(shop.stripe.v1.customers), "create", released)
    assert shop.post(CHECKOUT, PACKAGE).status_code == 201
    assert [customer.id for customer in customers(shop)] == [shop.customer]


def test_an_answer_that_was_lost_a_day_ago_makes_no_second_customer(shop: Shop, database: Database) -> None:
    shop.local.control.fail(kind="cut", path=CUSTOMERS, method="POST", stage="after", times=3)
    assert shop.post(CHECKOUT, PACKAGE).status_code == 503
    shop.local.control.prune_keys()  # as Stripe does after a day
    with database.connect() as connection:
        connection.execute("update billing.customer_requests set started_at = now() - interval '25 hours'")
    assert shop.post(CHECKOUT, PACKAGE).status_code == 201
    assert [customer.id for customer in customers(shop)] == [shop.customer]


@pytest.mark.parametrize(
    "fault",
    [
        None,
        {"kind": 500, "stage": "before", "saved": True},
        {"kind": 500, "stage": "after", "saved": True},
        {"kind": 400, "code": "email_invalid", "param": "email"},
        {"kind": "conflict"},
        {"kind": "cut", "stage": "after"},
    ],
)
@pytest.mark.parametrize("vanished", [False, True])
def test_callers_at_once_get_one_customer(shop: Shop, fault: dict[str, Any] | None, vanished: bool) -> None:
    if vanished:
        shop.post(SETUP)
        vanish(shop, "deleted")
        shop.ledger.forget_customer(shop.customer)
    if fault is not None:
        shop.local.control.fail(**fault, path=CUSTOMERS, method="POST")
    gateway, start = StripeGateway(shop.stripe, _sealer()), threading.Barrier(8)

    def ask(_: int) -> str:
        start.wait()
        for _try in range(20):
            try:
                return customer_of(shop.ledger, gateway, "acme")
            except Exception as error:  # noqa: BLE001
                last = error
        raise last

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(ask, range(8)))
    assert found == {shop.customer}
    assert [customer.id for customer in customers(shop)] == [shop.customer]


def _sealer() -> Any:
    from shared.seals import Sealer  # noqa: PLC0415

    return Sealer("a test key")


SAVED: list[tuple[str, dict[str, Any], str]] = [
    (CHECKOUT, PACKAGE, "/v1/checkout/sessions"),
    (CHECKOUT, {"plan_id": "starter"}, "/v1/checkout/sessions"),
    (INTENT, PACKAGE, "/v1/payment_intents"),
    (SETUP, {}, "/v1/setup_intents"),
]


@pytest.mark.parametrize(("path", "body", "called"), SAVED, ids=["buy", "subscribe", "intent", "setup"])
@pytest.mark.parametrize("stage", ["before", "after"])
def test_a_saved_500_has_a_way_out_and_what_it_made_is_found(
    shop: Shop,
    path: str,
    body: dict[str, Any],
    called: str,
    stage: str,
) -> None:
    shop.post(SETUP)
    shop.local.control.fail(kind=500, path=called, method="POST", stage=stage, saved=True)
    answer = shop.post(path, body, **{"Idempotency-Key": "order-1"})
    assert answer.status_code == 201, answer.json
    if called != "/v1/setup_intents":
        lists: Any = {
            "/v1/checkout/sessions": shop.stripe.v1.checkout.sessions,
            "/v1/payment_intents": shop.stripe.v1.payment_intents,
        }[called]
        assert len(lists.list({"limit": 100}).data) == 1


@pytest.mark.parametrize(("path", "body", "called"), SAVED, ids=["buy", "subscribe", "intent", "setup"])
def test_a_release_that_changes_a_parameter_ends_in_no_idempotency_error(
    shop: Shop,
    path: str,
    body: dict[str, Any],
    called: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop.post(SETUP)
    shop.local.control.fail(kind="cut", path=called, method="POST", stage="after", times=3)
    once = {"Idempotency-Key": "order-1"}
    assert shop.post(path, body, **once).status_code == 503
    services: Any = {
        "/v1/checkout/sessions": shop.stripe.v1.checkout.sessions,
        "/v1/payment_intents": shop.stripe.v1.payment_intents,
        "/v1/setup_intents": shop.stripe.v1.setup_intents,
    }[called]
    create = type(services).create

    def released(self: Any, params: Any, options: Any = None) -> Any:
        return create(self, {**params, "metadata": {**params["metadata"], "release": "next"}}, options)

    monkeypatch.setattr(type(services), "create", released)
    answer = shop.post(path, body, **once)
    assert answer.status_code == 201, answer.json
    if called != "/v1/setup_intents":
        assert len(services.list({"limit": 100}).data) == 1
