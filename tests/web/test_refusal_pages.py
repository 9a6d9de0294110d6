"""A definitive refusal of Stripe stands on the page of the form that met it, with its status; over the local Stripe."""

from __future__ import annotations

import html
from typing import Any

import pytest

from local.stripe.app import LocalStripe
from shared.stripe_refusals import ANSWERS
from tests.web.test_money_pages import (
    BUY,
    Browser,
    app,
    card,
    client_at_stripe,
    owner,
    server,
    settings,
)

__all__ = ["app", "card", "client_at_stripe", "owner", "server", "settings"]
FORM = "form_" + "0" * 32
SESSIONS, INTENTS = "/v1/checkout/sessions", "/v1/payment_intents"

PLACES: list[tuple[str, dict[str, str], str, dict[str, Any], str, str]] = [
    ("/billing/checkout", BUY, SESSIONS, {"code": "amount_too_small"}, "amount_too_small", 'name="quantity"'),
    ("/billing/buy/pay", BUY, INTENTS, {"code": "amount_too_large"}, "amount_too_large", 'name="quantity"'),
    ("/billing/buy/pay", BUY, INTENTS, {"kind": 403}, "stripe_key_refused", 'name="quantity"'),
    ("/billing/checkout", BUY, SESSIONS, {"code": "what_is_this"}, "stripe_refused", 'name="quantity"'),
    (
        "/billing/payment-methods/add",
        {"request_id": FORM},
        "/v1/setup_intents",
        {"message": "This PaymentMethod may not be used again."},
        "payment_method_unusable",
        "/billing/payment-methods/add",
    ),
    (
        "/billing/portal",
        {},
        "/v1/billing_portal/sessions",
        {"message": "No configuration provided"},
        "portal_not_configured",
        "/billing/payment-methods/add",
    ),
    (
        "/billing/portal",
        {"back": "plans"},
        "/v1/billing_portal/sessions",
        {"param": "configuration"},
        "portal_not_configured",
        "/billing/plans/subscribe",
    ),
    (
        "/billing/plans/subscribe",
        {"request_id": FORM, "plan_id": "starter"},
        SESSIONS,
        {"code": "resource_missing", "message": "No such price: 'price_live'"},
        "price_unavailable",
        "/billing/plans/subscribe",
    ),
]


@pytest.mark.parametrize(("path", "form", "called", "fault", "code", "place"), PLACES)
def test_a_refusal_stands_on_the_page_of_its_form(
    owner: Browser,
    server: LocalStripe,
    path: str,
    form: dict[str, str],
    called: str,
    fault: dict[str, Any],
    code: str,
    place: str,
) -> None:
    server.control.fail(**{"kind": 400, **fault}, path=called, method="POST")
    answer = owner.post(path, **form)
    refusal = ANSWERS[code]
    assert answer.status_code == refusal.status
    assert refusal.sentence in html.unescape(answer.text)
    assert "fault is ours" not in answer.text
    assert place in answer.text, "the form is still there"
    assert 'role="alert"' in answer.text
