"""Webhooks after they were stored: one grant a payment, whatever comes in whatever order."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from shared import queue
from shared.errors import DatabaseUnavailable, QueueUnavailable, StripeUnavailable
from shared.stripe_client import StripeBusy, StripeRefused
from tests.workers.world import CREDIT, CUSTOMER, World
from workers import events

SESSION = "checkout.session.completed"
SUCCEEDED = "payment_intent.succeeded"


def paid(world: World, **changes: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A purchase that was paid at Stripe: payment, Session, PaymentIntent."""
    payment = world.buy()
    intent = world.stripe.pay_session("cs_1", payment, **changes)
    return payment, world.stripe.sessions["cs_1"], intent


def test_two_event_ids_for_one_payment_intent_grant_once(world: World) -> None:
    """No. 3."""
    _, session, intent = paid(world)
    first, second = world.receive(SESSION, session), world.receive(SUCCEEDED, intent)
    assert [world.event(first), world.event(second)] == [("done", None), ("done", None)]
    assert [world.grants, world.balance] == [1, 200]
    world.assert_sound()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_order_of_events_gives_the_same_books(world: World, order: tuple[int, ...]) -> None:
    """Each three times, too: nos. 3 and 4, and peers' no. 6."""
    payment, session, intent = paid(world)
    announcements = [(SESSION, session), (SUCCEEDED, intent), ("payment_intent.processing", intent)]
    for place in [*order, *order, *order]:
        world.receive(*announcements[place])
    assert [world.grants, world.balance, world.payment(payment["id"])["status"]] == [1, 200, "succeeded"]


def test_event_before_the_session_is_attached_is_found_by_metadata(world: World) -> None:
    """No. 23: Stripe is quicker than our second commit."""
    payment = world.buy(attach=None)
    world.stripe.pay_session("cs_1", payment)
    event = world.receive(SESSION, world.stripe.sessions["cs_1"])
    assert [world.event(event), world.grants] == [("done", None), 1]
    assert world.payment(payment["id"])["stripe_checkout_session_id"] == "cs_1"


def test_unknown_payment_with_our_metadata_is_parked(world: World) -> None:
    """No. 24: the money must be traceable."""
    metadata = {"refill_payment_id": "pay_nobody", "refill_account_id": "acct_nobody"}
    event = world.receive(SUCCEEDED, world.stripe.add_intent("pi_x", status="succeeded", metadata=metadata))
    assert world.event(event) == ("parked", "unknown_payment")


@pytest.mark.parametrize("metadata", [{}, {"refill_account_id": "acct_test"}, None])
def test_payment_intent_that_is_not_ours_is_ignored(world: World, metadata: Any) -> None:
    """No. 25: a subscription's, or one from the Dashboard. Stripe is not even asked."""
    event = world.receive(SUCCEEDED, {"id": "pi_sub", "metadata": metadata})
    assert [world.event(event), world.stripe.calls] == [("ignored", "not_ours"), []]


def test_amounts_and_credits_in_metadata_are_not_believed(world: World) -> None:
    """No. 26: the stored row wins."""
    payment, _, intent = paid(world)
    intent["metadata"] = {**intent["metadata"], "credits": "1000000", "refill_credits": "1000000"}
    world.receive(SUCCEEDED, intent)
    assert [world.balance, payment["credits"]] == [200, 100 * CREDIT]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"amount_received": 499}, "amount_mismatch", id="no. 27: partial"),
        pytest.param({"amount_received": 595}, "amount_mismatch", id="no. 27: tax"),
        pytest.param({"currency": "eur"}, "currency_mismatch", id="no. 27: currency"),
        pytest.param(
            {"customer": "cus_other"}, "customer_mismatch", id="no. 30: customer of another account"
        ),
    ],
)
def test_payment_that_differs_from_our_row_is_parked(
    world: World, changes: dict[str, Any], reason: str
) -> None:
    payment, session, _ = paid(world, **changes)
    event = world.receive(SESSION, session)
    assert [world.event(event), world.grants, world.balance] == [("parked", reason), 0, 100]
    assert world.payment(payment["id"])["status"] == "parked"
    assert len(world.notices("payment.parked")) == 1


def test_metadata_that_names_another_account_is_parked(world: World) -> None:
    """No. 30."""
    _, session, intent = paid(world)
    intent["metadata"]["refill_account_id"] = session["metadata"]["refill_account_id"] = "acct_other"
    assert world.event(world.receive(SUCCEEDED, intent)) == ("parked", "account_mismatch")
    assert world.grants == 0


def test_unpaid_session_grants_only_when_the_money_arrives(world: World) -> None:
    """No. 28: a delayed method."""
    payment, session, intent = paid(world)
    intent.update(status="processing", amount_received=0)
    session["payment_status"] = "unpaid"
    world.receive(SESSION, session)
    assert [world.payment(payment["id"])["status"], world.grants] == ["processing", 0]
    intent.update(status="succeeded", amount_received=500)
    session["payment_status"] = "paid"
    world.receive("checkout.session.async_payment_succeeded", session)
    world.receive(SUCCEEDED, intent)
    assert [world.payment(payment["id"])["status"], world.grants] == ["succeeded", 1]


def test_unpaid_session_whose_money_never_arrives_fails(world: World) -> None:
    """No. 28."""
    payment, session, intent = paid(world)
    intent.update(
        status="requires_payment_method", amount_received=0, last_payment_error={"code": "debit_failed"}
    )
    session["payment_status"] = "unpaid"
    world.receive("checkout.session.async_payment_failed", session)
    row = world.payment(payment["id"])
    assert [row["status"], row["reason"], world.grants] == ["failed", "debit_failed", 0]


def test_session_without_payment_grants_nothing(world: World) -> None:
    """No. 29: a discount of 100 %."""
    payment = world.buy()
    world.stripe.sessions["cs_1"].update(status="complete", payment_status="no_payment_required")
    event = world.receive(SESSION, world.stripe.sessions["cs_1"])
    assert [world.event(event), world.grants] == [("parked", "no_payment_required"), 0]
    assert world.payment(payment["id"])["status"] == "open"


def test_expired_session_cancels_the_purchase(world: World) -> None:
    payment = world.buy()
    world.stripe.sessions["cs_1"]["status"] = "expired"
    world.receive("checkout.session.expired", world.stripe.sessions["cs_1"])
    assert world.payment(payment["id"])["status"] == "canceled"


def test_decline_inside_an_open_session_leaves_the_purchase_open(world: World) -> None:
    payment = world.buy()
    declined = world.stripe.add_intent(
        "pi_d",
        status="requires_payment_method",
        last_payment_error={"decline_code": "insufficient_funds"},
        metadata=world.stripe.sessions["cs_1"]["metadata"],
    )
    event = world.receive("payment_intent.payment_failed", declined)
    assert [world.event(event), world.payment(payment["id"])["status"]] == [("done", None), "open"]


def test_event_of_a_top_up_settles_it_or_leaves_it_to_the_charging_actor(world: World) -> None:
    world.stripe.card = "processing"
    world.spend(90)
    world.check()
    intent = next(iter(world.stripe.intents.values()))
    event = world.receive("payment_intent.processing", intent)
    assert world.event(event) == ("done", "left_to_the_top_up")
    assert world.queue.sent == [(queue.CHARGE_TOPUP, world.topup["id"])]
    intent.update(status="succeeded", amount_received=500)
    world.receive(SUCCEEDED, intent)
    assert [world.topup["state"], world.grants] == ["succeeded", 1]


def test_purchase_that_rearms_a_paused_top_up_asks_for_a_check(world: World) -> None:
    world.stripe.card = "declined:stolen_card"
    world.ledger.record_usage([{"account_id": "acct_test", "id": "u", "amount": 300 * CREDIT, "quantity": 1}])
    world.check()
    _, session, _ = paid(world)
    world.receive(SESSION, session)
    assert (queue.CHECK_THRESHOLD, "acct_test") in world.queue.sent


def test_customer_deleted_switches_auto_top_up_off(world: World) -> None:
    """No. 49."""
    assert world.event(world.receive("customer.deleted", {"id": CUSTOMER})) == ("done", None)
    assert [world.settings["enabled"], world.balance] == [False, 100]
    assert world.event(world.receive("customer.deleted", {"id": "cus_x"})) == ("ignored", "not_ours")


@pytest.mark.parametrize("event_type", ["invoice.created", "charge.succeeded", "nonsense"])
def test_other_types_are_ignored(world: World, event_type: str) -> None:
    """No. 18."""
    assert world.event(world.receive(event_type, {"id": "x"})) == ("ignored", "type_not_handled")


@pytest.mark.parametrize("envelope", [{"account": "acct_connected"}, {"context": "acct_a/acct_b"}])
def test_events_of_other_stripe_accounts_are_ignored(world: World, envelope: dict[str, str]) -> None:
    """No. 17."""
    _, session, _ = paid(world)
    event = world.receive(SESSION, session, **envelope)
    assert [world.event(event), world.grants] == [("ignored", "another_account"), 0]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"data": {"object": {"id": "pi_1", "amount": NaN}}}', id="NaN"),
        pytest.param(b'{"data": {"object": {"id": "pi_1", "x": "a\\u0000b"}}}', id="NUL"),
        pytest.param(b'{"data": {"object": {"id": "pi_1", "x": ["\\ud800"]}}}', id="lone surrogate"),
        pytest.param(b'{"data": {"object": {"id": "pi_1", "id": "pi_2"}}}', id="repeated name"),
        pytest.param(b'{"data": {"object": {"id": "pi_1\\n"}}}', id="odd id"),
        pytest.param(b'{"data": {"object": {"id": 7}}}', id="id of another kind"),
        pytest.param(
            b'{"data": {"object": {"id": "pi_1", "metadata": {"refill_payment_id": 7}}}}', id="odd metadata"
        ),
        pytest.param(b'{"data": {"object": []}}', id="object of another kind"),
        pytest.param(b'{"data": null}', id="no object"),
        pytest.param(b"{}", id="nothing"),
        pytest.param(b"[]", id="array"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{", id="broken"),
        pytest.param(b"\xff\xfe", id="bytes"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(json.dumps({"object": "v2.core.event", "type": SUCCEEDED}).encode(), id="thin"),
    ],
)
def test_stored_oddities_are_parked_once(world: World, raw: bytes) -> None:
    """Nos. 13 to 15: never a crash loop."""
    state, reason = world.event(world.receive_raw(SUCCEEDED, raw))
    assert state == "parked"
    assert reason is not None


@pytest.mark.parametrize("error", [StripeUnavailable("down", replayed=False), StripeBusy("429")])
def test_event_waits_while_stripe_is_away_and_is_never_parked(world: World, error: Exception) -> None:
    _, session, _ = paid(world)
    world.stripe.faults["retrieve_session"] = [error] * 20
    event = world.receive(SESSION, session)
    for _ in range(19):
        world.query("update billing.stripe_events set next_attempt_at = now()")
        events.process_event(world.app, event)
    assert world.event(event)[0] == "received"
    world.query("update billing.stripe_events set next_attempt_at = now()")
    events.process_event(world.app, event)
    assert [world.event(event), world.grants] == [("done", None), 1]


def test_object_that_stripe_does_not_know_is_parked(world: World) -> None:
    _, session, _ = paid(world)
    world.stripe.faults["retrieve_session"] = [StripeRefused("no such session", "resource_missing", "id")]
    assert world.event(world.receive(SESSION, session)) == ("parked", "stripe_refused: resource_missing")


def test_event_that_kills_its_worker_is_parked_after_eight_claims(world: World) -> None:
    """No. 64: claims are counted in the database."""
    _, session, _ = paid(world)
    world.stripe.faults["retrieve_session"] = [RuntimeError("bug")] * 20
    with pytest.raises(RuntimeError):
        world.receive(SESSION, session)
    event = "evt_2"
    for _ in range(7):
        world.query("update billing.stripe_events set next_attempt_at = now()")
        with pytest.raises(RuntimeError):
            events.process_event(world.app, event)
    world.query("update billing.stripe_events set next_attempt_at = now()")
    events.process_event(world.app, event)
    assert world.event(event) == ("parked", "too_many_attempts")


def test_event_is_worked_off_once_while_another_worker_has_it(world: World) -> None:
    _, session, _ = paid(world)
    world.stripe.faults["retrieve_session"] = [RuntimeError("worker died")]
    with pytest.raises(RuntimeError):
        world.receive(SESSION, session)
    calls = len(world.stripe.calls)
    events.process_event(world.app, "evt_2")
    assert len(world.stripe.calls) == calls


def test_queue_that_is_away_does_not_undo_a_grant(world: World) -> None:
    """No. 20."""
    world.queue.error = QueueUnavailable("down")
    _, session, _ = paid(world)
    assert world.event(world.receive(SESSION, session)) == ("done", None)
    assert world.grants == 1


@pytest.mark.parametrize("function", ["settle_payment", "get_payment", "find_payment"])
def test_an_event_is_not_given_up_because_the_database_fails(world: World, function: str) -> None:
    """A function is missing for longer than eight claims; then the release is done."""
    payment, session, _ = paid(world)
    arguments = world.query(
        "select pg_get_function_identity_arguments(p.oid) as a from pg_proc p"
        " where pronamespace = 'billing'::regnamespace and proname = %s",
        function,
    )[0]["a"]
    world.query(f"alter function billing.{function}({arguments}) rename to probe_former")
    raw = json.dumps(
        {"id": "evt_x", "object": "event", "type": SESSION, "data": {"object": session}}
    ).encode()
    world.ledger.record_stripe_event("evt_x", SESSION, None, False, None, raw, None, None)
    for _ in range(12):
        with pytest.raises(DatabaseUnavailable):
            events.process_event(world.app, "evt_x")
        assert world.event("evt_x") == ("received", "database_unavailable")
        world.query("update billing.stripe_events set next_attempt_at = now()")
    world.query(f"alter function billing.probe_former({arguments}) rename to {function}")
    events.process_event(world.app, "evt_x")
    assert world.event("evt_x") == ("done", None)
    assert (world.payment(payment["id"])["status"], world.grants) == ("succeeded", 1)
