"""The charging state machine, on the real SQL functions."""

from __future__ import annotations

import concurrent.futures

import pytest

from shared.errors import Refused, StripeUnavailable
from shared.models import Topup
from shared.stripe_client import StripeBusy, StripeData, StripeRefused
from tests.workers.world import ACCOUNT, CREDIT, CUSTOMER, World
from workers import topups


def test_reaching_the_threshold_charges_once_and_grants_once(world: World) -> None:
    assert world.spend(90)["topup_due"] is True
    world.check()
    assert [world.topup["state"], world.balance, len(world.stripe.charges)] == ["succeeded", 110, 1]
    world.check()
    assert [len(world.topups), world.grants, len(world.stripe.charges)] == [1, 1, 1]
    world.assert_sound()


def test_crash_between_create_and_commit_leaves_no_charge_and_the_same_intent_is_used(world: World) -> None:
    """No. 31: the PaymentIntent exists at Stripe, our row does not know it."""
    world.spend(90)
    world.stripe.lost["create"] = 1
    world.check()
    assert world.topup["stripe_payment_intent_id"] is None
    assert world.stripe.charges == []
    world.charge()
    assert [len(world.stripe.intents), len(world.stripe.charges), world.grants] == [1, 1, 1]


@pytest.mark.parametrize("lost_calls", [1, 2])
def test_time_out_after_the_charge_is_settled_by_asking_the_intent(world: World, lost_calls: int) -> None:
    """Nos. 32, 34, 35: Stripe charged, and the answer was lost; no second charge, one grant."""
    world.spend(90)
    world.stripe.lost["confirm"] = lost_calls
    world.check()
    assert [world.topup["state"], world.grants] == ["unknown", 0]
    world.charge()
    assert [world.topup["state"], world.grants, len(world.stripe.charges)] == ["succeeded", 1, 1]
    assert world.stripe.count("confirm") == 1
    world.assert_sound()


def test_crash_before_confirm_is_resumed_with_the_same_intent(world: World) -> None:
    """Killed after begin_topup_charge was committed, before the call left."""
    world.spend(90)
    opened = world.ledger.open_topup(ACCOUNT, "top_x", "pay_x")
    assert opened["topup_id"] == "top_x"
    intent = world.stripe.create_topup_intent(world.ledger.find_topup("top_x"))  # type: ignore[arg-type]
    world.ledger.attach_topup_intent("top_x", intent["id"])
    assert world.ledger.begin_topup_charge("top_x")["go"] is True
    world.charge()
    assert [world.topup["state"], len(world.stripe.intents), world.grants] == ["succeeded", 1, 1]


def test_unknown_charge_that_never_executed_is_confirmed_again_with_the_same_key(world: World) -> None:
    """No. 34: a connection that failed before Stripe saw the request."""
    world.spend(90)
    world.stripe.faults["confirm"] = [StripeUnavailable("down", replayed=False)]
    world.check()
    assert world.topup["state"] == "unknown"
    world.charge()
    assert [world.topup["state"], len(world.stripe.intents), len(world.stripe.charges)] == ["succeeded", 1, 1]


def test_replayed_500_ends_in_a_cancel_and_a_new_top_up(world: World) -> None:
    """Stripe replays a saved 500 for a day; canceling tells for certain that no money moved."""
    world.spend(90)
    world.stripe.faults["confirm"] = [StripeUnavailable("500", replayed=True)] * 2
    world.check()
    assert world.topup["state"] == "unknown"
    world.charge()
    assert [world.topup["state"], world.topup["reason"]] == ["canceled", "stripe_unavailable"]
    assert world.settings["paused_reason"] is None
    world.check()
    assert [len(world.topups), len(world.stripe.charges), world.grants] == [2, 1, 1]


def test_replayed_500_of_the_create_call_makes_way_for_a_new_top_up_after_a_while(world: World) -> None:
    """The first one's PaymentIntent, if there is one, is unconfirmed: no money can move by it."""
    world.spend(90)
    world.stripe.faults["create"] = [StripeUnavailable("500", replayed=True)] * 3
    world.check()
    world.charge()
    assert [world.topup["state"], len(world.topups), world.queue.sent] == ["open", 1, []]
    world.age("30 seconds")
    world.charge()
    assert [world.topup["state"], world.topup["reason"]] == ["canceled", "stripe_unavailable"]
    world.check()
    assert [world.topup["state"], len(world.stripe.charges), world.grants] == ["succeeded", 1, 1]


def test_confirmation_older_than_the_key_is_canceled_never_sent_again(world: World) -> None:
    """No. 38."""
    world.spend(90)
    world.stripe.faults["confirm"] = [StripeUnavailable("down", replayed=False)]
    world.check()
    world.age("23 hours 5 minutes")
    world.charge()
    assert [world.topup["state"], world.stripe.count("confirm")] == ["canceled", 1]
    assert world.stripe.charges == []


def test_charge_found_succeeded_while_canceling_is_settled(world: World) -> None:
    world.spend(90)
    world.stripe.faults["confirm"] = [StripeUnavailable("down", replayed=False)]
    world.check()
    world.age("24 hours")
    intent = next(iter(world.stripe.intents.values()))
    world.stripe.faults["cancel"] = [StripeRefused("too late", "payment_intent_unexpected_state", None)]
    stale = dict(intent)
    intent.update(status="succeeded", amount_received=intent["amount"])
    asked = []

    def stale_first(intent_id: str) -> dict[str, object]:
        asked.append(intent_id)
        return stale if len(asked) == 1 else dict(intent)

    world.stripe.retrieve_intent = stale_first  # type: ignore[method-assign]
    world.charge()
    assert [world.topup["state"], world.grants] == ["succeeded", 1]


def test_settings_changed_in_flight_do_not_change_the_frozen_charge(world: World) -> None:
    """No. 36."""
    world.spend(90)
    world.stripe.lost["create"] = 1
    world.check()
    world.enable(package_id=None, credits=400 * CREDIT)
    world.charge()
    assert [world.stripe.charges[0]["amount"], world.balance] == [500, 110]


def test_key_mismatch_is_an_alert_not_a_charge(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """No. 36: 400 idempotency_error."""
    world.spend(90)
    world.stripe.faults["create"] = [StripeRefused("other parameters", "idempotency_error", None)]
    world.check()
    assert [world.topup["state"], world.settings["paused_reason"]] == ["canceled", "stripe_refused"]
    assert world.stripe.charges == []
    assert "Stripe refused the top-up" in caplog.text


@pytest.mark.parametrize("operation", ["create", "confirm"])
def test_busy_stripe_delays_with_the_same_key_and_counts_nothing(world: World, operation: str) -> None:
    """Nos. 37 and 52: 409 key in use, 429, lock_timeout."""
    world.spend(90)
    world.stripe.faults[operation] = [StripeBusy("Stripe is busy: lock_timeout")]
    world.check()
    assert world.settings["declines"] == 0
    assert world.topup["state"] in ("open", "processing")
    world.charge()
    assert [world.topup["state"], len(world.stripe.intents), world.grants] == ["succeeded", 1, 1]


def test_stripe_away_pauses_nobody(world: World) -> None:
    world.spend(90)
    world.stripe.faults["create"] = [StripeUnavailable("down", replayed=False)] * 5
    world.check()
    for _ in range(4):
        world.charge()
    assert [world.topup["state"], world.settings["declines"], world.settings["paused_reason"]] == [
        "open",
        0,
        None,
    ]
    world.charge()
    assert world.topup["state"] == "succeeded"


def test_two_sweeps_at_once_charge_once(world: World) -> None:
    """No. 39."""
    world.spend(90)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for run in [pool.submit(world.check) for _ in range(4)]:
            run.result()
    assert [len(world.topups), len(world.stripe.charges), world.grants] == [1, 1, 1]


def test_many_spends_crossing_the_threshold_open_one_top_up(world: World) -> None:
    """No. 40: 100 at once; the credits are used up to the last, and one charge follows."""

    def spend(number: int) -> bool:
        event = {"id": f"burst_{number}", "amount": 2 * CREDIT, "quantity": 1}
        try:
            world.ledger.spend_credits(ACCOUNT, event)
        except Refused as error:
            return error.code != "insufficient_credits"
        topups.check_threshold(world.app, ACCOUNT)
        return True

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        accepted = sum(pool.map(spend, range(100)))
    states = [topup["state"] for topup in world.topups]
    assert states.count("succeeded") == len(world.stripe.charges) == world.grants
    assert world.balance == 100 + 100 * world.grants - 2 * accepted
    assert sum(topup["state"] in ("open", "processing", "unknown") for topup in world.topups) == 0
    world.assert_sound()


def test_threshold_crossed_again_while_a_charge_is_pending_opens_no_second(world: World) -> None:
    """No. 41."""
    world.stripe.card = "processing"
    world.spend(90)
    world.check()
    assert world.topup["state"] == "processing"
    world.spend(5)
    world.check()
    assert [len(world.topups), len(world.stripe.intents)] == [1, 1]


def test_shortfall_above_one_package_is_one_charge_sized_to_need(world: World) -> None:
    """No. 42."""
    usage = [{"account_id": ACCOUNT, "id": "big", "amount": 350 * CREDIT, "quantity": 1}]
    world.ledger.record_usage(usage, park=True)
    world.check()
    assert [len(world.stripe.charges), world.stripe.charges[0]["amount"], world.balance] == [1, 1500, 50]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(
            {"mode": "target", "credits": 5 * CREDIT, "package_id": None}, id="no. 43: below threshold"
        ),
        pytest.param({"credits": 9 * CREDIT, "package_id": None}, id="no. 53: below the minimum"),
        pytest.param({"credits": 30_000_000 * CREDIT, "package_id": None}, id="no. 53: above the maximum"),
    ],
)
def test_settings_that_would_loop_or_that_stripe_refuses_are_rejected(world: World, settings: dict) -> None:
    with pytest.raises(Refused) as refused:
        world.enable(**settings)
    assert refused.value.code == "invalid_auto_topup"


def test_soft_declines_back_off_and_pause_at_the_fourth(world: World) -> None:
    """No. 44: told on the first decline and on the pause, no attempt between the waits."""
    world.stripe.card = "declined:insufficient_funds"
    world.spend(90)
    for attempt in range(1, 5):
        world.check()
        assert [world.topup["state"], len(world.topups)] == ["declined", attempt]
        world.check()
        assert len(world.topups) == attempt
        world.age("4 hours 1 minute")
    assert world.settings["paused_reason"] == "declined_repeatedly"
    world.age("10 days")
    world.check()
    assert len(world.topups) == 4
    assert [len(world.notices("topup.declined")), len(world.notices("topup.paused"))] == [1, 1]


@pytest.mark.parametrize(
    "card", ["declined:stolen_card", "declined:generic_decline:do_not_try_again", "declined:new_code"]
)
def test_hard_decline_is_never_retried(world: World, card: str) -> None:
    """No. 45."""
    world.stripe.card = card
    world.spend(90)
    world.check()
    assert [world.topup["state"], world.settings["paused_reason"]] == ["declined", "card_declined"]
    world.age("2 days")
    world.check()
    assert [len(world.topups), world.stripe.count("confirm")] == [1, 1]


def test_authentication_waits_for_a_person_and_is_never_repeated(world: World) -> None:
    """No. 46, and the grant once the person has confirmed the same PaymentIntent."""
    world.stripe.card = "authentication"
    world.spend(90)
    world.check()
    assert [world.topup["state"], len(world.notices("topup.action_required"))] == ["action_required", 1]
    world.charge()
    world.check()
    assert [world.stripe.count("confirm"), len(world.stripe.intents)] == [1, 1]

    intent = next(iter(world.stripe.intents.values()))
    intent.update(status="succeeded", amount_received=intent["amount"])
    world.charge()
    assert [world.topup["state"], world.grants, world.balance] == ["succeeded", 1, 110]


def test_confirmation_that_nobody_gives_ends_after_a_day(world: World) -> None:
    world.stripe.card = "authentication"
    world.spend(90)
    world.check()
    world.age("24 hours 1 minute")
    world.charge()
    assert [world.topup["state"], world.settings["paused_reason"]] == ["canceled", "authentication_expired"]
    assert next(iter(world.stripe.intents.values()))["status"] == "canceled"


def test_a_charge_that_waits_for_authentication_makes_room_when_a_person_resumes(world: World) -> None:
    world.stripe.card = "authentication"
    world.spend(90)
    world.check()
    world.stripe.card = "ok"
    world.ledger.resume_auto_topup(ACCOUNT, "owner")
    world.charge()
    assert next(iter(world.stripe.intents.values()))["status"] == "canceled"
    assert world.topup["state"] == "canceled"
    world.check()
    assert [world.grants, world.balance, world.settings["paused_reason"]] == [1, 110, None]


def test_another_card_resumes_a_paused_top_up_once(world: World) -> None:
    """No. 47."""
    world.stripe.card = "declined:expired_card"
    world.spend(90)
    world.check()
    world.stripe.card = "ok"
    assert world.ledger.set_default_payment_method(ACCOUNT, "pm_2", {"fingerprint": "f2"}, "test")[
        "topup_due"
    ]
    world.check()
    assert [topup["state"] for topup in world.topups] == ["declined", "succeeded"]
    assert world.topups[0]["id"] != world.topups[1]["id"]


def test_card_detached_before_confirm_is_final_and_tells_the_account(world: World) -> None:
    """No. 48."""
    world.spend(90)
    world.stripe.faults["confirm"] = [StripeRefused("detached", None, None)]
    world.stripe.holder = None
    world.check()
    assert [world.topup["state"], world.settings["paused_reason"]] == ["canceled", "payment_method_unusable"]
    assert next(iter(world.stripe.intents.values()))["status"] == "canceled"
    assert len(world.notices("topup.paused")) == 1


def test_customer_deleted_at_stripe_pauses_and_keeps_the_books(world: World) -> None:
    """No. 49."""
    world.spend(90)
    world.stripe.faults["create"] = [StripeRefused("No such customer", "resource_missing", "customer")]
    world.check()
    state = [world.topup["state"], world.settings["paused_reason"], world.balance]
    assert state == ["canceled", "no_payment_method", 10]
    world.check()
    assert len(world.topups) == 1


def test_switching_off_while_the_job_is_under_way_prevents_the_charge(world: World) -> None:
    """No. 50: the last look is under the account's lock, after the PaymentIntent was made."""
    world.spend(90)
    create = world.stripe.create_topup_intent

    def switch_off_first(topup: Topup) -> StripeData:
        world.ledger.set_auto_topup(ACCOUNT, {"enabled": False}, "member")
        return create(topup)

    world.stripe.create_topup_intent = switch_off_first  # type: ignore[method-assign]
    world.check()
    assert [world.topup["state"], world.topup["reason"]] == ["canceled", "switched_off"]
    assert [world.stripe.count("confirm"), next(iter(world.stripe.intents.values()))["status"]] == [
        0,
        "canceled",
    ]


def test_switching_off_after_a_lost_confirmation_prevents_a_second_one(world: World) -> None:
    world.spend(90)
    world.stripe.faults["confirm"] = [StripeUnavailable("down", replayed=False)]
    world.check()
    world.ledger.set_auto_topup(ACCOUNT, {"enabled": False}, "member")
    world.charge()
    assert [world.stripe.count("confirm"), world.stripe.charges, world.topup["state"]] == [1, [], "canceled"]


def test_caps_refuse_with_a_reason(world: World) -> None:
    """No. 51: five dollars a day; the second charge of the day is not made."""
    world.enable(caps={"day": 900, "month": 2000, "per_hour": 5})
    world.spend(90)
    world.check()
    world.spend(100)
    world.check()
    assert [len(world.stripe.charges), world.settings["waiting_reason"]] == [1, "cap_day"]
    assert len(world.notices("topup.capped")) == 1


def test_velocity_limit_refuses_with_a_reason(world: World) -> None:
    """No. 51: one charge an hour."""
    world.enable(caps={"day": 5000, "month": 5000, "per_hour": 1})
    world.spend(90)
    world.check()
    world.spend(100)
    world.check()
    assert [len(world.stripe.charges), world.settings["waiting_reason"]] == [1, "cap_per_hour"]


def test_open_checkout_is_closed_before_the_card_is_charged(world: World) -> None:
    """The person must not pay twice for one shortage."""
    payment = world.buy()
    world.spend(90)
    world.check()
    assert [world.stripe.sessions["cs_1"]["status"], world.payment(payment["id"])["status"]] == [
        "expired",
        "canceled",
    ]
    assert [world.topup["state"], world.grants] == ["succeeded", 1]


def test_checkout_paid_meanwhile_is_granted_and_the_top_up_is_not_needed_any_more(world: World) -> None:
    payment = world.buy()
    world.stripe.pay_session("cs_1", payment)
    world.spend(90)
    world.check()
    assert [world.payment(payment["id"])["status"], world.balance] == ["succeeded", 110]
    assert [world.topup["state"], world.topup["reason"]] == ["canceled", "no_longer_needed"]
    assert world.stripe.count("confirm") == 0
    world.assert_sound()


def test_bank_debit_is_polled_until_it_succeeds(world: World) -> None:
    world.stripe.card = "processing"
    world.spend(90)
    world.check()
    world.charge()
    assert [world.topup["state"], world.grants] == ["processing", 0]
    intent = next(iter(world.stripe.intents.values()))
    intent.update(status="succeeded", amount_received=intent["amount"])
    world.charge()
    assert [world.topup["state"], world.grants] == ["succeeded", 1]


def test_intent_of_the_wrong_customer_is_parked_not_granted(world: World) -> None:
    world.spend(90)
    world.stripe.before_confirm = lambda: next(iter(world.stripe.intents.values())).update(
        customer="cus_other"
    )
    world.check()
    assert [world.grants, world.topup["state"], world.settings["paused_reason"]] == [
        0,
        "canceled",
        "payment_parked",
    ]
    assert CUSTOMER != "cus_other"


def test_the_message_of_a_dead_worker_takes_its_open_charge_up_again(world: World) -> None:
    """The row was opened, the worker died, and its message came back: nobody has to wait for the sweep."""
    world.spend(90)
    world.ledger.open_topup(ACCOUNT, "top_x", "pay_x")
    world.check()
    assert [world.topup["id"], world.topup["state"], world.grants] == ["top_x", "succeeded", 1]
