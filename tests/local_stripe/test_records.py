"""Metadata, refunds, disputes, lists and expansion, through the real SDK."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from local.stripe.app import LocalStripe
from tests.local_stripe.conftest import wait_until

Client = stripe.StripeClient


def test_metadata_merges_and_empty_values_remove(client: Client) -> None:
    made = client.v1.customers.create({"metadata": {"a": "1", "b": "2"}})
    changed = client.v1.customers.update(made.id, {"metadata": {"a": "", "c": "3"}})
    assert changed.metadata.to_dict() == {"b": "2", "c": "3"}


def test_partial_refunds_add_up_and_never_pass_the_charge(
    client: Client, charge: Any, card: stripe.PaymentMethod
) -> None:
    pi = charge(card, 500)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": pi.id, "amount": 600})
    assert (
        caught.value.user_message
        == "Refund amount ($6.00) is greater than unrefunded amount on charge ($5.00)"
    )
    assert (caught.value.error.code, caught.value.param) == (None, "amount")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": pi.id, "amount": -1})
    assert caught.value.code == "parameter_invalid_integer"
    client.v1.refunds.create({"payment_intent": pi.id, "amount": 200})
    client.v1.refunds.create({"charge": pi.latest_charge.id})
    paid = client.v1.charges.retrieve(pi.latest_charge.id)
    assert (paid.amount_refunded, paid.refunded) == (500, True)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": pi.id})
    assert caught.value.code == "charge_already_refunded"
    assert [refund.amount for refund in client.v1.refunds.list({"payment_intent": pi.id}).data] == [300, 200]


def test_a_failed_refund_gives_the_money_back_to_the_charge(
    client: Client, charge: Any, card: stripe.PaymentMethod, server: LocalStripe, endpoint: Any
) -> None:
    pi = charge(card, 500)
    refund = client.v1.refunds.create({"payment_intent": pi.id})
    server.control.fail_refund(refund.id)
    assert client.v1.refunds.retrieve(refund.id).status == "failed"
    assert client.v1.charges.retrieve(pi.latest_charge.id).amount_refunded == 0
    wait_until(lambda: "refund.failed" in endpoint.types())


def test_disputes_withdraw_refuse_refunds_and_restore(
    client: Client, charge: Any, card: stripe.PaymentMethod, server: LocalStripe
) -> None:
    pi = charge(card, 500)
    inquiry = server.control.open_dispute(charge(card).latest_charge.id, inquiry=True)
    assert inquiry["balance_transactions"] == []
    dispute = server.control.open_dispute(pi.latest_charge.id)
    assert dispute["balance_transactions"][0]["amount"] == -500
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": pi.id})
    assert caught.value.code == "charge_disputed"
    server.control.close_dispute(dispute["id"], won=True)
    assert client.v1.disputes.retrieve(dispute["id"]).status == "won"
    types = [event.type for event in client.v1.events.list({"type": "charge.dispute.funds_reinstated"}).data]
    assert types == ["charge.dispute.funds_reinstated"]


def test_lists_page_by_cursor_window_and_customer(
    client: Client, charge: Any, card: stripe.PaymentMethod, customer: stripe.Customer
) -> None:
    ids = [charge(card, 500 + place).id for place in range(5)]
    client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
    first = client.v1.payment_intents.list({"customer": customer.id, "limit": 2})
    assert ([pi.id for pi in first.data], first.has_more) == (ids[:2:-1], True)
    everything = client.v1.payment_intents.list({"customer": customer.id, "limit": 2, "created": {"gte": 1}})
    assert [pi.id for pi in everything.auto_paging_iter()] == ids[::-1]
    assert client.v1.payment_intents.list({"created": {"lt": first.data[0].created - 60}}).data == []
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.list({"limit": 101})


def test_expanding_what_cannot_be_expanded_is_refused(client: Client, card: stripe.PaymentMethod) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        client.v1.payment_methods.retrieve(card.id, {"expand": ["type"]})
