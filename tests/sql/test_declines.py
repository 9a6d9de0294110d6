"""What the end of a charge means for the next: back-off, pause, re-arming. Only declines count."""

from __future__ import annotations

import pytest

from shared.stripe_timing import LEASE_SECONDS
from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 5)
    books.enable()


def waits(books: Books) -> float:
    left = books.value(
        "select extract(epoch from next_attempt_at - now()) / 3600 from billing.auto_topup_settings"
    )
    return float(left or 0)


def test_declines_wait_one_two_and_four_hours_and_the_fourth_pauses(books: Books) -> None:
    seen = []
    for _ in range(3):
        assert books.decline(books.charge())["state"] == "declined"
        seen.append(round(waits(books), 2))
        assert books.ask()["reason"] == "declined"
        assert books.ledger.due_work(10)["accounts"] == []
        books.age(f"{2 ** (len(seen) - 1)} hours")
        assert books.ledger.due_work(10)["accounts"] == ["a"]
    assert seen == [1, 2, 4]
    assert books.decline(books.charge())["paused_reason"] == "declined_repeatedly"
    books.age("30 days")
    assert books.ask()["reason"] == "declined_repeatedly"
    assert books.value("select count(*) from billing.topups") == 4
    books.assert_sound()


def test_a_decline_leaves_the_balance_and_fails_the_payment(books: Books) -> None:
    topup = books.charge()
    books.decline(topup)
    row = books.topup(topup)
    assert (row["state"], row["status"], row["decline_code"]) == ("declined", "failed", "insufficient_funds")
    assert books.balance() == 5
    assert books.lots() == {"a": 5}


@pytest.mark.parametrize(
    "facts",
    [
        {"decline_code": "stolen_card"},
        {"decline_code": "lost_card"},
        {"decline_code": "expired_card"},
        {"decline_code": "pickup_card"},
        {"decline_code": "fraudulent"},
        {"decline_code": "a code of next year"},
        {"decline_code": None},
        {"decline_code": "insufficient_funds", "advice_code": "do_not_try_again"},
        {"decline_code": "generic_decline", "advice_code": "confirm_card_data"},
    ],
)
def test_a_decline_that_only_a_person_can_mend_pauses_at_once(books: Books, facts: dict[str, str]) -> None:
    assert books.ledger.finish_topup(books.charge(), "declined", facts)["paused_reason"] == "card_declined"
    books.age("1 year")
    assert books.ask()["reason"] == "card_declined"


@pytest.mark.parametrize("code", ["do_not_honor", "generic_decline"])
def test_the_second_refusal_without_a_reason_pauses(books: Books, code: str) -> None:
    assert books.decline(books.charge(), code)["paused_reason"] is None
    books.age("1 hour")
    assert books.decline(books.charge(), code)["paused_reason"] == "declined_repeatedly"


@pytest.mark.parametrize("state", ["unknown", "processing"])
def test_a_charge_without_an_answer_counts_nothing(books: Books, state: str) -> None:
    topup = books.charge()
    for _ in range(20):
        answer = books.ledger.finish_topup(topup, state, {"reason": "stripe_unavailable"})
        assert (answer["state"], answer["paused_reason"]) == (state, None)
    assert books.settings()["declines"] == 0
    assert books.notices("topup.paused") + books.notices("topup.declined") == 0


def test_stripe_down_for_an_hour_pauses_nobody_and_the_charge_is_granted_afterwards(books: Books) -> None:
    topup = books.charge()
    for _ in range(60):
        books.ledger.finish_topup(topup, "unknown", {"reason": "stripe_unavailable"})
        books.age("61 seconds")
        assert books.ledger.due_work(10)["topups"] == [topup]
        claimed = books.ledger.claim_topup(topup)
        assert claimed is not None
        assert claimed["confirming"]
        assert books.ask()["reason"] == "open_topup"
    assert books.settle(str(books.topup(topup)["payment_id"]))["outcome"] == "granted"
    assert books.settings()["paused_reason"] is None
    assert books.balance() == 105
    books.assert_sound()


def test_the_queue_of_the_workers_sees_a_charge_once_and_again_after_its_lease(books: Books) -> None:
    topup = str(books.ask()["topup_id"])
    answers = books.together(10, lambda _: books.ledger.claim_topup(topup))
    assert len([answer for answer in answers if answer is not None]) == 1
    assert books.ledger.claim_topup(topup) is None
    books.age(f"{LEASE_SECONDS - 10} seconds")
    assert books.ledger.due_work(10)["topups"] == []
    assert books.ledger.claim_topup(topup) is None
    books.age("11 seconds")
    assert books.ledger.due_work(10)["topups"] == [topup]
    assert books.ledger.claim_topup(topup)
    books.ledger.release_topup(topup, "rate_limited", 5)
    assert books.ledger.claim_topup(topup) is None
    books.age("6 seconds")
    assert books.ledger.claim_topup(topup)


def test_a_finished_charge_stays_as_it_is(books: Books) -> None:
    topup = books.charge()
    books.decline(topup)
    with books.nothing_moves():
        for state in ("declined", "unknown", "processing", "canceled", "action_required"):
            books.ledger.finish_topup(topup, state, {})
        assert books.ledger.claim_topup(topup) is None
        books.ledger.release_topup(topup, "late", 1)
    for state in ("succeeded", "open", ""):
        with books.refused("invalid_value"):
            books.ledger.finish_topup(topup, state, {})
    with books.refused("not_found"):
        books.ledger.finish_topup("nobody", "declined", {})


def test_a_success_that_stripe_reports_after_a_decline_still_wins(books: Books) -> None:
    topup = books.charge()
    books.decline(topup)
    assert books.settle(str(books.topup(topup)["payment_id"]))["outcome"] == "granted"
    assert books.topup(topup)["state"] == "succeeded"
    assert books.settings()["declines"] == 0
    books.assert_sound()


def test_a_success_forgets_the_declines_before_it(books: Books) -> None:
    books.decline(books.charge())
    books.age("1 hour")
    books.settle(str(books.topup(books.charge())["payment_id"]))
    books.use(100)
    books.decline(books.charge())
    assert books.settings()["declines"] == 1
    assert round(waits(books)) == 1


def test_a_charge_that_differs_is_parked_and_pauses(books: Books) -> None:
    topup = books.charge()
    assert books.settle(str(books.topup(topup)["payment_id"]), amount_received=499)["outcome"] == "parked"
    assert books.topup(topup)["state"] == "canceled"
    assert books.settings()["paused_reason"] == "payment_parked"
    assert books.balance() == 5
    books.assert_sound()


def test_a_charge_that_needs_the_holder_waits_for_the_holder_alone(books: Books) -> None:
    topup = books.charge()
    answer = books.ledger.finish_topup(topup, "action_required", {"decline_code": "authentication_required"})
    assert answer["paused_reason"] == "authentication_required"
    assert books.ask()["reason"] == "open_topup"
    assert books.settings()["declines"] == 0
    with books.nothing_moves():
        books.ledger.finish_topup(topup, "action_required", {})
        with books.refused("state_conflict"):
            books.ledger.finish_topup(topup, "declined", {"decline_code": "insufficient_funds"})
    books.settle(str(books.topup(topup)["payment_id"]))
    assert books.settings()["paused_reason"] is None
    assert books.balance() == 105
    books.assert_sound()


def pause(books: Books) -> None:
    books.decline(books.charge(), "stolen_card")
    assert books.ask()["reason"] == "card_declined"


def test_a_purchase_re_arms(books: Books) -> None:
    pause(books)
    books.settle(books.buy())
    assert books.settings()["paused_reason"] is None
    books.use(100)
    assert books.ask()["topup_id"]


def test_a_new_card_re_arms_and_the_same_card_does_not(books: Books) -> None:
    pause(books)
    assert not books.ledger.set_default_payment_method("a", "pm_1", {}, "owner")["topup_due"]
    assert books.ask()["reason"] == "card_declined"
    assert books.ledger.set_default_payment_method("a", "pm_2", {}, "owner")["topup_due"]
    topup = books.topup(books.charge())
    assert topup["payment_method"] == "pm_2"


def test_a_persons_decision_re_arms_and_is_in_the_audit_log(books: Books) -> None:
    pause(books)
    answer = books.ledger.resume_auto_topup("a", "owner@example.com")
    assert (answer["paused_reason"], answer["declines"], answer["topup_due"]) == (None, 0, True)
    assert (
        books.value("select actor from billing.audit_log where action = 'auto_topup.resumed'")
        == "owner@example.com"
    )
    assert books.ask()["topup_id"]


def test_what_is_off_is_not_resumed(books: Books) -> None:
    books.ledger.set_auto_topup("a", {"enabled": False}, "owner")
    with books.refused("state_conflict"):
        books.ledger.resume_auto_topup("a", "owner")


def test_a_card_that_declines_for_ever_is_charged_four_times_in_thirty_days(books: Books) -> None:
    """Traffic goes on, and every two hours asks for a charge."""
    attempts = 0
    for _ in range(30 * 12):
        books.age("2 hours")
        books.use(0.2)
        if books.ledger.due_work(1)["accounts"]:
            attempts += 1
            books.decline(books.charge())
    assert attempts == 4
    assert books.value("select count(*) from billing.topups") == 4
    assert books.settings()["paused_reason"] == "declined_repeatedly"
    assert (books.notices("topup.declined"), books.notices("topup.paused")) == (1, 1)
    assert books.balance() == pytest.approx(5 - 72)
    assert books.ledger.get_balance("a")["auto_topup"]["credits"] == 100 * CREDIT
    books.assert_sound()
