"""A definitive refusal of Stripe is a 4xx that says what to do, or reaches the operators; over the local Stripe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared import stripe_refusals
from shared.errors import StripeUnavailable
from tests.support import Database
from tests.web.conftest import Counts
from tests.web.test_payment_methods import Shop, server, shop
from web import openapi
from web.endpoints import REGISTRY

__all__ = ["server", "shop"]
CHECKOUT = "/api/billing/checkout-sessions"
INTENT = "/api/create-payment-intent"
SETUP = "/api/billing/setup-intents"
PORTAL = "/api/billing/portal-sessions"
PACKAGE = {"package_id": "credits_250"}
PLAN = {"plan_id": "starter"}
SESSIONS, INTENTS = "/v1/checkout/sessions", "/v1/payment_intents"
SETUPS, PORTALS = "/v1/setup_intents", "/v1/billing_portal/sessions"
NO_PORTAL = (
    "No configuration provided and your test mode default configuration has not been created. Provide a configuration or"
    " create your default by saving your customer portal settings in test mode"
)
OTHER_MODE = "No such price: 'price_1'; a similar object exists in live mode, but a test mode key was used"
MINIMUM = "The amount must be greater than or equal to the minimum charge amount allowed for your account"

CLASSES: list[tuple[str, dict[str, Any], str, dict[str, Any], str, int]] = [
    (
        CHECKOUT,
        PACKAGE,
        SESSIONS,
        {"code": "email_invalid", "param": "customer_email"},
        "invalid_email",
        422,
    ),
    (INTENT, PACKAGE, INTENTS, {"param": "receipt_email", "message": "Invalid email"}, "invalid_email", 422),
    (INTENT, PACKAGE, INTENTS, {"message": "Invalid email address: a@b"}, "invalid_email", 422),
    (
        CHECKOUT,
        PLAN,
        SESSIONS,
        {"code": "resource_missing", "param": "line_items[0][price]", "message": OTHER_MODE},
        "price_unavailable",
        409,
    ),
    (
        CHECKOUT,
        PLAN,
        SESSIONS,
        {
            "param": "line_items[0][price]",
            "message": "The price specified is inactive. This field only accepts active prices.",
        },
        "price_unavailable",
        409,
    ),
    (
        CHECKOUT,
        PLAN,
        SESSIONS,
        {"code": "resource_missing", "message": "No such product: 'prod_1'"},
        "price_unavailable",
        409,
    ),
    (PORTAL, {}, PORTALS, {"message": NO_PORTAL}, "portal_not_configured", 409),
    (PORTAL, {}, PORTALS, {"param": "configuration", "message": "no"}, "portal_not_configured", 409),
    (CHECKOUT, PACKAGE, SESSIONS, {"code": "amount_too_small"}, "amount_too_small", 422),
    (
        INTENT,
        PACKAGE,
        INTENTS,
        {"code": "parameter_invalid_integer", "param": "amount", "message": MINIMUM},
        "amount_too_small",
        422,
    ),
    (INTENT, PACKAGE, INTENTS, {"code": "amount_too_large", "param": "amount"}, "amount_too_large", 422),
    (
        CHECKOUT,
        PACKAGE,
        SESSIONS,
        {"param": "line_items[0][price_data][currency]", "message": "Invalid currency: xyz."},
        "currency_not_supported",
        409,
    ),
    (
        CHECKOUT,
        PLAN,
        SESSIONS,
        {"message": "You cannot combine currencies on a single customer. This customer has an active one"},
        "customer_currency_conflict",
        409,
    ),
    (
        SETUP,
        {},
        SETUPS,
        {"message": "The payment method you provided has already been attached to a customer."},
        "payment_method_in_use",
        409,
    ),
    (
        SETUP,
        {},
        SETUPS,
        {"message": "This PaymentMethod was previously used and may not be used again."},
        "payment_method_unusable",
        422,
    ),
    (
        SETUP,
        {},
        SETUPS,
        {"code": "resource_missing", "param": "payment_method", "message": "No such PaymentMethod: 'pm_1'"},
        "payment_method_missing",
        409,
    ),
    (
        CHECKOUT,
        PACKAGE,
        SESSIONS,
        {"code": "testmode_charges_only", "message": "Your account cannot currently make live charges."},
        "stripe_account_restricted",
        409,
    ),
    (INTENT, PACKAGE, INTENTS, {"message": "something new", "code": "not_seen_yet"}, "stripe_refused", 409),
    (CHECKOUT, PACKAGE, SESSIONS, {"kind": 401, "message": "Invalid API Key"}, "stripe_key_refused", 409),
    (PORTAL, {}, PORTALS, {"kind": 403, "message": "lacks rak_portal_write"}, "stripe_key_refused", 409),
    (SETUP, {}, SETUPS, {"kind": 402, "type": "card_error", "code": "card_declined"}, "card_declined", 402),
]


Notices = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def notices(database: Database) -> Notices:
    """The payloads of notices to the operators."""

    def read() -> list[dict[str, Any]]:
        with database.connect() as connection:
            rows = connection.execute(
                "select payload from billing.outbox where topic = 'operations.stripe_refused' order by id"
            )
            return [row[0] for row in rows.fetchall()]

    return read


@pytest.mark.parametrize(("path", "body", "called", "fault", "code", "status"), CLASSES)
def test_each_class_of_refusal_has_its_code_and_sentence_and_moves_nothing(
    shop: Shop,
    money: Counts,
    notices: Notices,
    database: Database,
    path: str,
    body: dict[str, Any],
    called: str,
    fault: dict[str, Any],
    code: str,
    status: int,
) -> None:
    shop.post(SETUP)  # the account has its customer
    before = money()
    shop.local.control.fail(**{"kind": 400, **fault}, path=called, method="POST", times=3)
    answers = [shop.post(path, body) for _ in range(2)]
    assert {(answer.status_code, answer.json["code"]) for answer in answers} == {(status, code)}
    detail = answers[0].json["detail"]
    assert "our side" not in detail
    assert detail == getattr(stripe_refusals.ANSWERS.get(code), "sentence", detail)
    after = money()
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"payments", "outbox"}, "a purchase that nobody can pay, and the operators' notice"
    operator = code in stripe_refusals.ANSWERS and stripe_refusals.ANSWERS[code].operator
    assert len(notices()) == operator, "once a day for one cause"
    if code == "stripe_key_refused":
        assert [row["invariant"] for row in shop.ledger.check_invariants()] == ["check_stripe_accepts_key"]
        with database.connect() as connection:  # an hour later
            connection.execute("update billing.stripe_refusals set last_at = now() - interval '61 minutes'")


def test_the_notice_has_stripes_code_sentence_and_request_and_comes_once_a_cause(
    shop: Shop,
    notices: Notices,
) -> None:
    shop.post(SETUP)
    for code in ("not_seen_yet", "not_seen_yet", "another"):
        shop.local.control.fail(kind=400, code=code, message=f"No: {code}", path=INTENTS, method="POST")
        assert shop.post(INTENT, PACKAGE).status_code == 409
    found = notices()
    assert sorted(row["stripe_code"] for row in found) == ["another", "not_seen_yet"]
    assert all(row["request_id"].startswith("req_") for row in found)
    assert {row["account_id"] for row in found} == {"acme"}


def test_every_endpoint_that_calls_stripe_lists_the_refusals() -> None:
    listed = openapi.build("http://localhost")["paths"]
    calling = [endpoint for endpoint in REGISTRY if "stripe_busy" in endpoint.errors]
    assert len(calling) >= 6
    for endpoint in calling:
        said = str(listed[endpoint.path][endpoint.method.lower()]["responses"])
        for code in stripe_refusals.ANSWERS:
            assert f"`{code}`" in said, (endpoint.path, code)


def test_a_refusal_without_any_facts_is_the_unknown_one() -> None:
    facts = stripe_refusals.Facts(400, None, None, "")
    assert stripe_refusals.refusal_of(facts) is stripe_refusals.UNKNOWN
    assert StripeUnavailable.code not in stripe_refusals.ANSWERS
