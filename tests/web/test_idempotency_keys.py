"""Our Idempotency-Key: bound to its body for as long as anything made under it lives, never an old thing without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support import Database
from tests.web.conftest import Counts
from tests.web.test_payment_methods import Shop, server, shop

__all__ = ["server", "shop"]
CHECKOUT, INTENT = "/api/billing/checkout-sessions", "/api/create-payment-intent"
SETUP, PORTAL = "/api/billing/setup-intents", "/api/billing/portal-sessions"
ADJUST = "/api/credits/adjustments"
ONCE = {"Idempotency-Key": "order-1"}
CALLS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (CHECKOUT, {"package_id": "credits_250"}, {"package_id": "credits_600", "quantity": 2}),
    (CHECKOUT, {"package_id": "credits_250"}, {"plan_id": "starter"}),
    (CHECKOUT, {"plan_id": "starter"}, {"plan_id": "pro"}),
    (INTENT, {"package_id": "credits_250"}, {"package_id": "credits_250", "quantity": 3}),
    (ADJUST, {"amount": "5", "reason": "goodwill"}, {"amount": "6", "reason": "goodwill"}),
    (ADJUST, {"amount": "5", "reason": "goodwill"}, {"amount": "5", "reason": "another"}),
]
EVERY = pytest.mark.parametrize(("path", "body", "other"), CALLS)
Age = Callable[[str], None]


@pytest.fixture
def age(database: Database) -> Age:
    """Lets time pass for requests and for what was made under them."""

    def older(by: str) -> None:
        with database.connect() as connection:
            for table, columns in (
                ("idempotent_requests", ("created_at", "lease_until", "answer_until")),
                ("payments", ("created_at",)),
                ("subscription_checkouts", ("created_at",)),
            ):
                for column in columns:
                    connection.execute(
                        f"update billing.{table} set {column} = {column} - %s::interval where {column} <> 'infinity'",
                        (by,),
                    )

    return older


def code(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json.get("code")


@EVERY
def test_another_body_is_refused_after_the_first_was_answered_and_after_pruning(
    shop: Shop, money: Counts, age: Age, path: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    first = shop.post(path, body, **ONCE)
    assert first.status_code == 201
    before = money()
    assert shop.post(path, body, **ONCE).json == first.json
    assert code(shop.post(path, other, **ONCE)) == (422, "idempotency_key_reused")
    age("8 days")
    shop.ledger.prune_requests(100)
    for _ in range(2):
        assert code(shop.post(path, other, **ONCE)) == (422, "idempotency_key_reused")
        assert code(shop.post(path, body, **ONCE)) == (409, "idempotency_key_expired")
    moved = money()
    assert {name for name in before if before[name] != moved[name]} <= {"payments"}, "they only aged"
    assert shop.post(path, body, **{"Idempotency-Key": "order-2"}).status_code in (201, 409)


@pytest.mark.parametrize(("path", "body", "other"), CALLS[:4])
@pytest.mark.parametrize("kind", [503, "cut", "lock_timeout"])
def test_another_body_is_refused_after_a_first_try_that_failed(
    shop: Shop, age: Age, path: str, body: dict[str, Any], other: dict[str, Any], kind: Any
) -> None:
    shop.post(SETUP)
    called = "/v1/payment_intents" if path == INTENT else "/v1/checkout/sessions"
    shop.local.control.fail(kind=kind, path=called, method="POST", times=3)
    assert shop.post(path, body, **ONCE).status_code == 503
    shop.local.control.clear_faults()
    assert code(shop.post(path, other, **ONCE)) == (422, "idempotency_key_reused")
    age("6 days")
    assert code(shop.post(path, other, **ONCE)) == (422, "idempotency_key_reused")
    assert shop.post(path, body, **ONCE).status_code == 201


@pytest.mark.parametrize(("path", "body", "other"), CALLS[:4])
def test_a_refusal_of_stripe_keeps_the_key_bound(
    shop: Shop, path: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    shop.post(SETUP)
    called = "/v1/payment_intents" if path == INTENT else "/v1/checkout/sessions"
    shop.local.control.fail(kind=400, code="amount_too_small", path=called, method="POST")
    assert code(shop.post(path, body, **ONCE)) == (422, "amount_too_small")
    assert code(shop.post(path, other, **ONCE)) == (422, "idempotency_key_reused")
    assert shop.post(path, body, **ONCE).status_code == 201


@pytest.mark.parametrize("path", [CHECKOUT, INTENT])
def test_a_refusal_that_made_nothing_leaves_the_key_free(shop: Shop, path: str) -> None:
    assert code(shop.post(path, {"package_id": "nope"}, **ONCE)) == (404, "unknown_package")
    assert shop.post(path, {"package_id": "credits_250"}, **ONCE).status_code == 201


@pytest.mark.parametrize(("path", "body"), [call[:2] for call in CALLS[1:4]])
def test_an_address_that_cannot_be_paid_any_more_never_comes_back(
    shop: Shop, age: Age, path: str, body: dict[str, Any]
) -> None:
    first = shop.post(path, body, **ONCE)
    age("59 minutes")
    assert shop.post(path, body, **ONCE).json == first.json
    age("61 seconds")
    assert code(shop.post(path, body, **ONCE)) == (409, "idempotency_key_expired")


@pytest.mark.parametrize(("path", "body"), [call[:2] for call in CALLS[1:4]])
def test_neither_does_one_whose_answer_was_never_stored(
    shop: Shop, age: Age, database: Database, path: str, body: dict[str, Any]
) -> None:
    assert shop.post(path, body, **ONCE).status_code == 201
    with database.connect() as connection:  # the process died before it stored the answer
        connection.execute(
            "update billing.idempotent_requests set status = null, body = null, answer_until = 'infinity'"
        )
    age("61 minutes")
    assert code(shop.post(path, body, **ONCE)) == (409, "idempotency_key_expired")


@pytest.mark.parametrize(("path", "body"), [call[:2] for call in CALLS[1:4]])
def test_a_first_try_that_failed_gets_a_whole_new_deadline(
    shop: Shop, age: Age, path: str, body: dict[str, Any]
) -> None:
    shop.post(SETUP)
    called = "/v1/payment_intents" if path == INTENT else "/v1/checkout/sessions"
    shop.local.control.fail(kind=503, path=called, method="POST", times=3)
    assert shop.post(path, body, **ONCE).status_code == 503
    shop.local.control.clear_faults()
    age("3 hours")
    assert shop.post(path, body, **ONCE).status_code == 201


@pytest.mark.parametrize(("path", "field", "minutes"), [(SETUP, "id", 61), (PORTAL, "url", 5)])
def test_what_a_browser_uses_for_a_moment_is_made_again(
    shop: Shop, age: Age, path: str, field: str, minutes: int
) -> None:
    first = shop.post(path, {}, **ONCE)
    assert shop.post(path, {}, **ONCE).json == first.json
    age(f"{minutes} minutes")
    second = shop.post(path, {}, **ONCE)
    assert second.status_code == 201
    assert second.json[field] != first.json[field]
