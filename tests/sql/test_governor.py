"""billing.open_topup: one open charge an account, at the threshold, sized to the need, within the caps."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sql.books import CREDIT, Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 100)
    books.enable()


def low(books: Books, credits: float = 10) -> None:
    """Brings the balance down to this many credits."""
    books.use(books.balance() - credits)


def frees_in(answer: dict[str, Any], books: Books) -> float:
    return float(
        books.value("select extract(epoch from %s::timestamptz - now()) / 3600", answer["next_attempt_at"])
    )


def test_exactly_at_the_threshold_a_charge_opens_and_just_above_none(books: Books) -> None:
    low(books, 10.000001)
    with books.nothing_moves():
        assert books.ask() == {
            "topup_id": None,
            "open_topup_id": None,
            "reason": "above_threshold",
            "next_attempt_at": None,
        }
    assert books.spend(0.000001)["topup_due"]
    assert books.ask()["topup_id"]
    books.assert_sound()


def test_a_spend_says_once_that_the_threshold_was_reached(books: Books) -> None:
    assert not books.spend(89.999999)["topup_due"]
    assert books.spend(0.000001)["topup_due"]
    assert not books.spend(1)["topup_due"]
    assert books.ledger.due_work(10)["accounts"] == ["a"]


def test_a_charge_freezes_amount_credits_customer_and_card(books: Books) -> None:
    low(books)
    topup = books.topup(str(books.ask()["topup_id"]))
    assert (topup["state"], topup["amount"], topup["credits"]) == ("open", 500, 100 * CREDIT)
    assert (topup["stripe_customer_id"], topup["payment_method"], topup["status"]) == (
        "cus_a",
        "pm_1",
        "open",
    )


def test_a_charge_that_is_open_keeps_others_away_whatever_its_state(books: Books) -> None:
    low(books)
    topup = str(books.ask()["topup_id"])
    for state in ("open", "processing", "unknown", "action_required"):
        books.query("update billing.topups set state = %s", state)
        assert books.ask()["reason"] == "open_topup"
    assert books.ledger.due_work(10)["accounts"] == []
    assert books.value("select count(*) from billing.topups") == 1
    assert books.ledger.find_topup(topup)


def test_opening_under_the_same_id_answers_the_first(books: Books) -> None:
    low(books)
    books.ledger.open_topup("a", "t", "p")
    with books.nothing_moves():
        assert books.ledger.open_topup("a", "t", "p")["topup_id"] == "t"


def test_of_sixteen_checks_at_once_one_opens_a_charge(books: Books) -> None:
    low(books)
    answers = books.together(
        16, lambda number: books.ledger.open_topup("a", f"t{number}", f"p{number}")["reason"]
    )
    assert sorted(map(str, answers)) == ["None"] + ["open_topup"] * 15
    books.assert_sound()


def test_two_hundred_spends_across_the_threshold_open_one_charge(books: Books) -> None:
    """Sixteen connections, every one of them checks when its spend asks for it."""
    opened: list[str] = []

    def work(number: int) -> int:
        done = 0
        for _ in range(13 if number < 8 else 12):
            if books.spend(0.5)["topup_due"]:
                done += books.ask()["topup_id"] is not None
            opened.append("spent")
        return done

    answers = books.together(16, work)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert sum(answer for answer in answers if isinstance(answer, int)) == 1
    assert len(opened) == 200
    assert books.balance() == 0
    assert books.value("select count(*) from billing.topups") == 1
    books.assert_sound()


def test_a_deep_gap_is_one_charge_of_as_many_amounts_as_it_needs(books: Books) -> None:
    low(books, -250)
    topup = books.charge()
    assert books.topup(topup)["credits"] == 300 * CREDIT
    assert books.topup(topup)["amount"] == 1500
    assert not books.settle(str(books.topup(topup)["payment_id"]))["topup_due"]
    assert books.balance() == 50
    books.assert_sound()


@pytest.mark.parametrize(("balance", "amounts"), [(10, 1), (-89.999999, 1), (-90, 2), (-190, 3)])
def test_a_charge_lifts_the_balance_above_the_threshold_and_not_just_onto_it(
    books: Books, balance: float, amounts: int
) -> None:
    low(books, balance)
    assert books.topup(str(books.ask()["topup_id"]))["credits"] == amounts * 100 * CREDIT


def test_a_gap_deeper_than_the_cap_is_charged_up_to_the_cap(books: Books) -> None:
    low(books, -5000)
    assert books.topup(books.charge())["amount"] == 10_000
    books.assert_sound()


def test_target_mode_fills_up_to_the_target_at_the_price_rounded_up(books: Books) -> None:
    books.enable(mode="target", credits=200 * CREDIT)
    low(books, 9.99)
    topup = books.topup(str(books.ask()["topup_id"]))
    assert topup["credits"] == int(190.01 * CREDIT)
    assert topup["amount"] == 951


def test_target_mode_stays_within_the_caps(books: Books) -> None:
    books.enable(mode="target", credits=200 * CREDIT, caps={"day": 1500, "month": 6000})
    low(books, -300)
    topup = books.topup(books.charge())
    assert (topup["amount"], topup["credits"]) == (1500, 300 * CREDIT)
    books.assert_sound()


def test_a_package_stands_for_amount_and_price(books: Books) -> None:
    books.enable(credits=None, package_id="credits_600")
    low(books)
    topup = books.topup(str(books.ask()["topup_id"]))
    assert (topup["credits"], topup["amount"]) == (600 * CREDIT, 2000)


def succeed(books: Books) -> None:
    low(books)
    books.settle(str(books.topup(books.charge())["payment_id"]))


def test_the_daily_cap_stops_charges_until_midnight_and_says_so(books: Books) -> None:
    books.enable(caps={"day": 1000, "month": 5000, "per_hour": 10})
    for _ in range(2):
        succeed(books)
    low(books)
    answer = books.ask()
    assert (answer["topup_id"], answer["reason"]) == (None, "cap_day")
    assert 0 < frees_in(answer, books) <= 24
    seen = books.ledger.get_auto_topup("a")
    assert (seen["waiting_reason"], seen["next_attempt_at"], seen["spent"]["day"]) == (
        "cap_day",
        answer["next_attempt_at"],
        1000,
    )
    assert books.ledger.due_work(10)["accounts"] == []
    assert books.ask()["reason"] == "cap_day"
    assert books.notices("topup.capped") == 1
    books.age("24 hours")
    assert books.ledger.due_work(10)["accounts"] == ["a"]
    assert books.ask()["topup_id"]
    books.assert_sound()


def test_the_monthly_cap_stops_charges_until_the_next_month_and_says_so(books: Books) -> None:
    books.enable(caps={"day": 1000, "month": 1000, "per_hour": 10})
    for _ in range(2):
        succeed(books)
    low(books)
    answer = books.ask()
    assert answer["reason"] == "cap_month"
    start = books.value(
        "select date_trunc('month', now(), 'UTC') + interval '1 month' = %s::timestamptz",
        answer["next_attempt_at"],
    )
    assert start
    books.age("31 days")
    assert books.ask()["topup_id"]


def test_the_hourly_cap_counts_declines_too_and_frees_with_the_oldest(books: Books) -> None:
    books.enable(caps={"per_hour": 2})
    succeed(books)
    books.age("20 minutes")
    succeed(books)
    low(books)
    answer = books.ask()
    assert answer["reason"] == "cap_per_hour"
    assert frees_in(answer, books) == pytest.approx(40 / 60, abs=0.02)
    books.age("41 minutes")
    assert books.ask()["topup_id"]


def test_a_charge_that_was_canceled_before_it_left_uses_no_cap(books: Books) -> None:
    books.enable(caps={"day": 500, "month": 500, "per_hour": 1})
    low(books)
    books.ledger.finish_topup(str(books.ask()["topup_id"]), "canceled", {"reason": "no_longer_needed"})
    assert books.ask()["topup_id"]
    books.assert_sound()


@pytest.mark.parametrize("state", ["unknown", "processing", "action_required"])
def test_money_that_may_still_move_uses_its_cap(books: Books, state: str) -> None:
    books.enable(caps={"day": 500, "month": 5000})
    low(books)
    books.ledger.finish_topup(books.charge(), state, {})
    assert books.ledger.get_auto_topup("a")["spent"]["day"] == 500


def test_raising_a_cap_lets_the_waiting_charge_go_at_once(books: Books) -> None:
    """Who raises the cap of the month on its third day does not want to wait for the next month."""
    books.enable(caps={"day": 500, "month": 500})
    succeed(books)
    low(books)
    assert books.ask()["reason"] == "cap_month"
    assert books.enable(caps={"day": 2000, "month": 5000})["topup_due"]
    assert books.ask()["topup_id"]
    books.assert_sound()


def test_changing_settings_does_not_shorten_the_wait_after_a_decline(books: Books) -> None:
    low(books)
    books.decline(books.charge())
    assert not books.enable(caps={"day": 2000, "month": 5000})["topup_due"]
    assert books.ask()["reason"] == "declined"


def test_a_package_that_went_off_sale_pauses_loudly_and_never_guesses_a_price(books: Books) -> None:
    books.enable(credits=None, package_id="credits_600")
    low(books)
    books.query("update billing.credit_packages set active = false where id = 'credits_600'")
    assert books.ask()["reason"] == "package_unavailable"
    assert books.settings()["paused_reason"] == "package_unavailable"
    assert books.ask()["reason"] == "package_unavailable"
    assert books.notices("topup.paused") == 1
    books.enable(credits=None, package_id="credits_250")
    assert books.ask()["topup_id"]


def test_a_package_in_another_currency_never_prices_a_charge(books: Books) -> None:
    """A smaller package in yen must not turn five dollars into five hundred."""
    books.query(
        "insert into billing.credit_packages (id, name, credits, amount, currency)"
        " values ('yen', 'Yen', 1000000, 500, 'jpy')"
    )
    low(books)
    topup = books.topup(str(books.ask()["topup_id"]))
    assert (topup["amount"], topup["credits"]) == (500, 100 * CREDIT)


def test_without_a_card_auto_topup_pauses_and_tells_once(books: Books) -> None:
    books.ledger.set_default_payment_method("a", None, None, "owner")
    low(books)
    assert [books.ask()["reason"] for _ in range(3)] == ["no_payment_method"] * 3
    assert books.settings()["paused_reason"] == "no_payment_method"


def test_an_account_that_never_consented_is_never_charged(books: Books) -> None:
    books.open("b", 1)
    books.use(5, account="b")
    with books.nothing_moves():
        assert books.ask("b")["reason"] == "off"
    with books.refused("unknown_account"):
        books.ask("nobody")


def test_a_frozen_intent_is_never_replaced(books: Books) -> None:
    low(books)
    topup = str(books.ask()["topup_id"])
    books.ledger.attach_topup_intent(topup, "pi_1")
    with books.nothing_moves():
        books.ledger.attach_topup_intent(topup, "pi_1")
    with books.refused("state_conflict"):
        books.ledger.attach_topup_intent(topup, "pi_2")
    with books.refused("not_found"):
        books.ledger.attach_topup_intent("nobody", "pi_3")
