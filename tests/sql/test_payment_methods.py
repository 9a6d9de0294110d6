"""Saved cards: the mirror, the default, and what both mean for automatic charges."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sql.books import Books


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    """Charged automatically with the card pm_1; the balance is below the threshold."""
    books.open("a")
    books.ledger.link_customer("a", "cus_a")
    tell(books, card("pm_1"), default="pm_1")
    books.enable_raw()


def card(name: str, **changes: Any) -> dict[str, Any]:
    found = {"id": name, "brand": "visa", "last4": "4242", "exp_month": 1, "exp_year": 2035}
    return found | {"fingerprint": f"f_{name}"} | changes


def tell(books: Books, *cards: dict[str, Any], default: str | None = None, **facts: Any) -> dict[str, Any]:
    customer = books.ledger.get_customer("a")
    assert customer is not None
    facts |= {"cards": list(cards), "default": default}
    return dict(books.ledger.mirror_cards("a", "cus_a", customer["cards_version"], facts, "stripe"))


def default(books: Books) -> str | None:
    customer = books.ledger.get_customer("a")
    assert customer is not None
    named = [row["id"] for row in books.ledger.list_payment_methods("a") if row["default"]]
    assert named == ([customer["default_payment_method"]] if customer["default_payment_method"] else [])
    return named[0] if named else None


def paused(books: Books) -> str | None:
    return str(reason) if (reason := books.settings()["paused_reason"]) else None


def declined(books: Books, code: str = "lost_card") -> None:
    books.decline(books.charge(), code)


def test_cards_are_listed_with_the_default_first_and_no_fingerprint(books: Books) -> None:
    tell(books, card("pm_1"), card("pm_2", brand="link", last4=None, exp_month=None, exp_year=None))
    first, second = books.ledger.list_payment_methods("a")
    assert first == {"id": "pm_1", "brand": "visa", "last4": "4242", "exp_month": 1, "exp_year": 2035,
                     "default": True}  # fmt: skip
    assert (second["id"], second["brand"], second["default"]) == ("pm_2", "link", False)


def test_a_default_that_is_gone_pauses_tells_once_and_no_other_card_takes_its_place(books: Books) -> None:
    tell(books, card("pm_1"), card("pm_2"))
    for _ in range(3):
        assert not tell(books, card("pm_2"))["topup_due"]
    assert (default(books), paused(books)) == (None, "no_payment_method")
    assert books.ask()["reason"] == "no_payment_method"
    assert books.notices("topup.paused") == 1
    assert [row["id"] for row in books.ledger.list_payment_methods("a")] == ["pm_2"]
    books.assert_sound()


def test_a_card_that_is_gone_and_was_not_the_default_changes_nothing_else(books: Books) -> None:
    tell(books, card("pm_1"), card("pm_2"), default="pm_1")
    tell(books, card("pm_1"), default="pm_1")
    assert (default(books), paused(books), books.notices("topup.paused")) == ("pm_1", None, 0)


def test_stripes_default_counts_when_it_changes_and_not_while_it_stays(books: Books) -> None:
    """A purchase may have made another card ours; Stripe's own default, which stayed, does not undo that."""
    tell(books, card("pm_1"), card("pm_2"), default="pm_1")
    books.ledger.set_default_payment_method("a", "pm_2", card("pm_2"), "owner")
    tell(books, card("pm_1"), card("pm_2"), default="pm_1")
    assert default(books) == "pm_2"
    tell(books, card("pm_1"), card("pm_2"), default="pm_1", adopt=True)
    assert default(books) == "pm_1"
    tell(books, card("pm_1"), card("pm_2"), default="pm_2")
    assert default(books) == "pm_2"
    tell(books, card("pm_1"), card("pm_2"))
    assert default(books) == "pm_2"


@pytest.mark.parametrize("code", ["lost_card", "do_not_honor"])
def test_another_card_ends_the_pause_of_a_declined_one(books: Books, code: str) -> None:
    declined(books, code)
    if code == "do_not_honor":
        books.age("1 hour")
        declined(books, code)
    assert paused(books) in ("card_declined", "declined_repeatedly")
    assert tell(books, card("pm_1"), card("pm_2"), default="pm_2")["topup_due"]
    assert (paused(books), books.settings()["declines"]) == (None, 0)
    books.charge()


def test_the_declined_card_saved_again_does_not_end_its_pause(books: Books) -> None:
    declined(books)
    again = card("pm_2", fingerprint="f_pm_1")
    assert not tell(books, card("pm_1"), again, default="pm_2", added="pm_2")["topup_due"]
    assert (default(books), paused(books), books.settings()["declines"]) == ("pm_2", "card_declined", 1)


def test_the_declined_card_saved_again_after_removal_does_not_skip_the_wait(books: Books) -> None:
    declined(books, "insufficient_funds")
    tell(books)
    assert paused(books) == "no_payment_method"
    tell(books, card("pm_2", fingerprint="f_pm_1"), default="pm_2")
    assert (paused(books), books.settings()["declines"], books.ask()["reason"]) == (None, 1, "declined")


@pytest.mark.parametrize("change", [{"exp_year": 2040}, {"last4": "1881", "fingerprint": "f_new"}])
def test_a_renewed_default_ends_the_pause_once(books: Books, change: dict[str, Any]) -> None:
    declined(books)
    assert tell(books, card("pm_1", **change), default="pm_1")["topup_due"]
    assert paused(books) is None
    declined(books)
    assert not tell(books, card("pm_1", **change), default="pm_1")["topup_due"]
    assert paused(books) == "card_declined"


def test_another_card_that_is_only_attached_or_renewed_ends_no_pause(books: Books) -> None:
    tell(books, card("pm_1"), card("pm_2"), default="pm_1")
    declined(books)
    tell(books, card("pm_1"), card("pm_2", exp_year=2041), card("pm_3"), default="pm_1")
    assert (default(books), paused(books)) == ("pm_1", "card_declined")


@pytest.mark.parametrize("reason", ["fraud_warning", "dispute_lost", "requested_by_customer"])
def test_no_card_ends_a_pause_that_is_none_of_its_business(books: Books, reason: str) -> None:
    books.query("update billing.auto_topup_settings set paused_reason = %s", reason)
    tell(books, card("pm_1", exp_year=2040), default="pm_1")
    tell(books, card("pm_1", exp_year=2040), card("pm_2"), default="pm_2")
    assert paused(books) == reason


def test_t35_no_card_switches_on_what_is_off(books: Books) -> None:
    declined(books)
    books.ledger.set_auto_topup("a", {"enabled": False}, "owner")
    tell(books, card("pm_1", exp_year=2040), default="pm_1")
    tell(books, card("pm_2"), default="pm_2", added="pm_2")
    tell(books)
    tell(books, card("pm_3"), added="pm_3")
    assert (books.settings()["enabled"], books.ask()["reason"], default(books)) == (False, "off", "pm_3")
    assert books.notices("topup.paused") == 1  # of the decline, when it was on


def test_a_card_added_by_us_becomes_the_default_where_there_is_none(books: Books) -> None:
    books.ledger.demand_topup("a", "wanted")
    tell(books)
    assert tell(books, card("pm_2"), added="pm_2")["topup_due"]
    assert (default(books), paused(books)) == ("pm_2", None)


def test_a_card_added_by_us_takes_the_place_of_a_declined_one_and_of_no_other(books: Books) -> None:
    tell(books, card("pm_1"), card("pm_2"), added="pm_2")
    assert default(books) == "pm_1"
    declined(books)
    tell(books, card("pm_1"), card("pm_3"), added="pm_3")
    assert (default(books), paused(books)) == ("pm_3", None)


def test_a_card_is_offered_once_so_a_repeated_event_chooses_nothing(books: Books) -> None:
    tell(books, card("pm_1"), card("pm_2"), added="pm_2")
    tell(books, card("pm_2"))
    for _ in range(2):
        tell(books, card("pm_2"), added="pm_2")
    assert (default(books), paused(books)) == (None, "no_payment_method")


def test_an_older_reading_changes_nothing(books: Books) -> None:
    customer = books.ledger.get_customer("a")
    assert customer is not None
    tell(books, card("pm_2"), default="pm_2")
    with books.nothing_moves():
        facts = {"cards": [card("pm_1")], "default": "pm_1"}
        answer = books.ledger.mirror_cards("a", "cus_a", customer["cards_version"], facts, "stripe")
    assert answer == {"outcome": "stale", "topup_due": False}


def test_a_reading_of_another_or_a_deleted_customer_changes_nothing(books: Books) -> None:
    facts = {"cards": [card("pm_9")], "default": "pm_9"}
    customer = books.ledger.get_customer("a")
    assert customer is not None
    with books.nothing_moves():
        assert (
            books.ledger.mirror_cards("a", "cus_x", customer["cards_version"], facts, "s")["outcome"]
            == "stale"
        )
    books.ledger.mark_customer_deleted("cus_a")
    assert books.ledger.list_payment_methods("a") == []
    with books.nothing_moves():
        assert (
            books.ledger.mirror_cards("a", "cus_a", customer["cards_version"], facts, "s")["outcome"]
            == "stale"
        )


def test_a_purchase_makes_the_readings_that_began_before_it_old(books: Books) -> None:
    customer = books.ledger.get_customer("a")
    assert customer is not None
    books.settle(books.buy(), payment_method="pm_2", card=card("pm_2"), saved=True)
    facts = {"cards": [card("pm_1")], "default": "pm_1"}
    assert (
        books.ledger.mirror_cards("a", "cus_a", customer["cards_version"], facts, "s")["outcome"] == "stale"
    )
    assert {row["id"] for row in books.ledger.list_payment_methods("a")} == {"pm_1", "pm_2"}


def test_a_purchase_does_not_bring_back_a_card_that_was_removed_meanwhile(books: Books) -> None:
    tell(books, card("pm_2"))
    tell(books)
    books.settle(books.buy(), payment_method="pm_2", card=card("pm_2"), saved=True)
    assert (default(books), books.ledger.list_payment_methods("a")) == (None, [])


def test_eight_readings_at_once_are_written_once(books: Books) -> None:
    customer = books.ledger.get_customer("a")
    assert customer is not None
    version, facts = customer["cards_version"], {"cards": [], "default": None}
    answers = books.together(
        8, lambda _n: books.ledger.mirror_cards("a", "cus_a", version, facts, "s")["outcome"]
    )
    assert sorted(map(str, answers)) == ["mirrored"] + ["stale"] * 7
    assert books.notices("topup.paused") == 1


def test_owners_are_found_by_customer_and_by_card_also_a_removed_one(books: Books) -> None:
    tell(books)
    found = [books.ledger.find_card_owner(name) for name in ("cus_a", "pm_1", "cus_x", "pm_x")]
    assert found == ["a", "a", None, None]


def expiring_in(books: Books, months: int, **changes: Any) -> None:
    month = int(books.value("select extract(year from now() at time zone 'UTC') * 12"
                            " + extract(month from now() at time zone 'UTC') - 1")) + months  # fmt: skip
    expiry = {"exp_year": month // 12, "exp_month": month % 12 + 1}
    tell(books, card("pm_1", **expiry), card("pm_2", **expiry), default="pm_1", **changes)


@pytest.mark.parametrize(("months", "told"), [(-1, 0), (0, 1), (1, 1), (2, 0)])
def test_the_default_card_that_expires_this_month_or_the_next_is_announced_once(
    books: Books, months: int, told: int
) -> None:
    expiring_in(books, months)
    assert [books.ledger.announce_expiring_cards(10) for _ in range(2)] == [told, 0]
    expiring_in(books, months)
    assert books.ledger.announce_expiring_cards(10) == 0
    assert books.notices("card.expiring") == told


def test_a_renewed_card_is_announced_again_when_its_new_expiry_is_near(books: Books) -> None:
    for months in (0, 40, 1):
        expiring_in(books, months)
        books.ledger.announce_expiring_cards(10)
    assert books.notices("card.expiring") == 2
    payload = books.value(
        "select payload from billing.outbox where topic = 'card.expiring' order by id limit 1"
    )
    assert (payload["last4"], payload["auto_topup"], "fingerprint" in payload) == ("4242", True, False)


def test_a_purchase_with_its_own_payment_intent_is_open_until_it_is_closed_before_a_charge(
    books: Books,
) -> None:
    payment = books.buy()
    assert books.ledger.open_checkouts("a") == []
    books.ledger.fail_payment(payment, "canceled", "never_reached_stripe")
    for _ in range(2):
        assert books.ledger.attach_payment_intent(payment, "pi_1")["status"] == "open"
    assert [row["id"] for row in books.ledger.open_checkouts("a")] == [payment]
    books.ledger.fail_payment(payment, "canceled", "abandoned")
    assert books.ledger.attach_payment_intent(payment, "pi_1")["status"] == "canceled"
    with books.refused("not_found"):
        books.ledger.attach_payment_intent("pay_x", "pi_2")
