"""The table of steps, the SQL functions and the model of the search say the same."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest

from shared.errors import Refused
from tests.workers.topup_model import UNCONFIRMED, Charge, Model, Scene
from tests.workers.world import ACCOUNT, CREDIT, World
from workers.topup_steps import DEAD, LIVE, RULES, SENT, TRANSITIONS, Call, Do, Heard, Row, decide

STATES = (*LIVE, *DEAD)
TARGETS = ("declined", "action_required", "unknown", "processing", "canceling", "canceled")


@pytest.fixture
def topup(world: World) -> str:
    """A top-up whose row a test puts into a state of its choice."""
    world.spend(90)
    opened = world.ledger.open_topup(ACCOUNT, "top_x", "pay_x")
    world.ledger.attach_topup_intent("top_x", "pi_x")
    return str(opened["topup_id"])


def put(world: World, state: str, *, sent: bool) -> None:
    world.query(
        "update billing.topups set state = %s, confirming_at = case when %s then now() end, ends_as = %s, reason = null,"
        " decline_code = null, dead_at = case when %s then now() end, finished_at = case when %s then now() end,"
        " canceling_at = case when %s then now() end",
        state, sent, "canceled" if state == "canceling" else None, state in DEAD, state in DEAD, state == "canceling",
    )  # fmt: skip
    status = {"succeeded": "succeeded", "declined": "failed", "canceled": "canceled"}.get(state, "processing")
    world.query("update billing.payments set status = %s where id = 'pay_x'", status)
    world.query("update billing.auto_topup_settings set enabled = true, paused_reason = null, declines = 0")
    world.query("update billing.customers set default_payment_method = 'pm_1'")


def row(world: World) -> dict[str, Any]:
    return {name: value for name, value in world.topup.items() if name not in ("next_attempt_at", "claims")}


def allowed(state: str, target: str, *, sent: bool, word: str | None) -> bool:
    fits = target in TRANSITIONS.get(state, ())  # type: ignore[call-overload]
    return fits and (target != "canceled" or not sent or word in ("canceled", "missing"))


def test_finish_topup_takes_exactly_the_transitions_of_the_table(world: World, topup: str) -> None:
    """From every state to every state, sent or not, with and without Stripe's word; what is refused changes nothing."""
    for state, target, sent in itertools.product(STATES, TARGETS, (True, False)):
        if not sent and state not in ("open", "canceled"):
            continue
        for word in (None, "canceled", "missing", "processing", "succeeded"):
            put(world, state, sent=sent)
            before = row(world)
            facts = {"intent_status": word, "reason": "test"}
            if state in DEAD:
                assert world.ledger.finish_topup(topup, target, facts)["state"] == state
                assert row(world) == before
            elif allowed(state, target, sent=sent, word=word):
                after = world.ledger.finish_topup(topup, target, facts)["state"]
                assert after == target, (state, target, sent, word)
                assert (world.topup["dead_at"] is not None) == (target in DEAD)
            else:
                with pytest.raises(Refused) as refused:
                    world.ledger.finish_topup(topup, target, facts)
                assert refused.value.code == "state_conflict"
                assert row(world) == before


@pytest.mark.parametrize("state", [*LIVE, "declined", "canceled"])
def test_money_that_comes_in_is_granted_from_every_state(world: World, topup: str, state: str) -> None:
    put(world, state, sent=True)
    payment = world.payment("pay_x")
    facts = {
        "payment_intent": "pi_x", "customer": payment["stripe_customer_id"], "amount_received": payment["amount"],
        "currency": payment["currency"], "charge": "ch_x",
    }  # fmt: skip
    assert world.ledger.settle_payment("pay_x", facts)["outcome"] == "granted"
    assert [world.topup["state"], world.grants, world.balance] == ["succeeded", 1, 110]
    assert world.ledger.settle_payment("pay_x", facts)["outcome"] == "already"
    world.assert_sound()


@pytest.mark.parametrize("state", LIVE)
def test_money_of_a_foreign_payment_intent_is_parked_and_leaves_what_was_sent_to_stripe(
    world: World, topup: str, state: str
) -> None:
    """Our own PaymentIntent may still charge; when it does, it is granted."""
    put(world, state, sent=state != "open")
    payment = world.payment("pay_x")
    facts = {
        "payment_intent": "pi_foreign", "customer": payment["stripe_customer_id"], "currency": payment["currency"],
        "amount_received": payment["amount"], "charge": "ch_f",
    }  # fmt: skip
    assert world.ledger.settle_payment("pay_x", facts)["outcome"] == "parked"
    assert world.topup["state"] == ("canceled" if state == "open" else "canceling")
    assert [world.settings["paused_reason"], len(world.notices("payment.parked"))] == ["payment_parked", 1]
    world.assert_sound()
    if state == "open":
        return
    assert world.ledger.settle_payment("pay_x", facts | {"payment_intent": "pi_x"})["outcome"] == "granted"
    assert [world.topup["state"], world.grants] == ["succeeded", 1]
    world.assert_sound()


SCENES = [
    Scene(needed, allowed, card)
    for needed, allowed, card in itertools.product((True, False), (True, False), (0, 1))
]


def test_the_last_look_of_the_model_is_that_of_the_ledger(world: World, topup: str) -> None:
    for state, scene in itertools.product(STATES, SCENES):
        sent = state != "open"
        put(world, state, sent=sent)
        world.query("update billing.auto_topup_settings set enabled = %s", scene.allowed)
        world.query(
            "update billing.customers set default_payment_method = %s", "pm_2" if scene.card else "pm_1"
        )
        world.query(
            "update billing.auto_topup_settings set threshold = %s", 10 * CREDIT if scene.needed else 0
        )
        world.query("update billing.credit_balances set topup_cause = 'refused:test', topup_cause_entry = 0")
        charge = Charge(state=state, has_intent=True, sent=sent, dead=state in DEAD, intent=UNCONFIRMED)
        looked = [
            left for _, left, worker in Model()._look(scene, charge)
            if worker.step is None or worker.step.do is not Do.WAIT
        ]  # fmt: skip
        world.ledger.begin_topup_charge(topup)
        after = world.topup
        wanted = looked[-1]
        assert (after["state"], after["dead_at"] is not None, after["confirming_at"] is not None) == (
            wanted.state,
            wanted.dead,
            wanted.sent,
        ), (state, scene)


def test_recording_in_the_model_is_that_of_the_ledger(world: World, topup: str) -> None:
    steps = {rule.step for rule in RULES if rule.step.do is Do.RECORD}
    for state, step in itertools.product(STATES, steps):
        sent = state != "open"
        put(world, state, sent=sent)
        charge = Charge(
            state=state, has_intent=True, sent=sent, dead=state in DEAD, intent=UNCONFIRMED,
            ends_as="canceled" if state == "canceling" else "",
        )  # fmt: skip
        wanted_scene, wanted, _ = next(iter(Model()._record(Scene(), charge, step)))
        word = {"canceled_at_stripe": "canceled", "intent_missing": "missing"}.get(step.reason or "")
        facts = {"reason": step.reason, "ends_as": step.ends_as, "intent_status": word}
        with contextlib.suppress(Refused):  # then nothing has changed, in the model either
            world.ledger.finish_topup(topup, str(step.state), facts)
        after = world.topup
        assert (after["state"], after["dead_at"] is not None, after["ends_as"] or "") == (
            wanted.state, wanted.dead, wanted.ends_as,
        ), (state, step)  # fmt: skip
        if state != "canceling":  # whose reason pauses or not by what it was
            paused = world.settings["paused_reason"] is not None
            assert paused == (not wanted_scene.allowed), (state, step)


def test_the_table_has_a_step_for_everything_that_can_be_heard() -> None:
    """Every live state, every call of Stripe, everything that is heard."""
    for state, heard in itertools.product(STATES, Heard):
        for call in (Call.CREATE, Call.CONFIRM, Call.RETRIEVE, Call.CANCEL, Call.RECHECK):
            assert decide(Row(state, has_intent=True), call, heard)


def test_what_was_sent_is_closed_by_no_rule_without_stripes_word() -> None:
    """Read off the table: a rule that records canceled is one of a charge that was never sent, or has Stripe's word."""
    for state, heard in itertools.product((*SENT, "action_required", "canceling"), Heard):
        for call in (Call.CONFIRM, Call.RETRIEVE, Call.CANCEL, Call.RECHECK):
            step = decide(Row(state, has_intent=True), call, heard)  # type: ignore[arg-type]
            if step.do is Do.RECORD and step.state in DEAD:
                assert heard in (Heard.CANCELED, Heard.MISSING), (state, call, heard)
