"""Holds: reserved before the work, charged after it by what it cost, once."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import REFUSALS, Refused
from tests.sql.books import CREDIT, Books

CODES = {code for code, _ in REFUSALS.values()}


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 100)


def test_of_two_holds_of_80_on_100_the_second_is_refused_and_named_and_both_settle_right(
    books: Books,
) -> None:
    placed = books.place(80, "one")
    assert (placed["state"], placed["remaining"], placed["available"]) == ("open", 80 * CREDIT, 20 * CREDIT)
    with books.refused("insufficient_credits") as refusal:
        books.place(80, "two")
    assert refusal.value.extra == {
        "binding": "balance",
        "needed": 80 * CREDIT,
        "available": 20 * CREDIT,
        "topup": "off",
    }
    assert books.finish("one", 10)["available"] == 90 * CREDIT
    books.place(80, "two")
    assert books.finish("two", 10)["available"] == 80 * CREDIT
    assert (books.balance(), books.held()) == (80, 0)
    books.assert_sound()


def test_from_many_connections_exactly_the_holds_that_fit_are_placed(books: Books) -> None:
    answers = books.together(16, lambda number: books.place(15, f"h{number}"))
    placed = [answer for answer in answers if isinstance(answer, dict)]
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert (len(placed), len(refused)) == (6, 10)
    assert {refusal.code for refusal in refused} == {"insufficient_credits"}
    assert books.held() == 90
    books.assert_sound()


def test_one_id_from_many_connections_is_one_hold_for_each_of_them(books: Books) -> None:
    """Also for those that would find no more room: it is their own hold that took it."""
    answers = books.together(8, lambda _: books.place(80, "one"))
    assert sorted(answer["replayed"] for answer in answers if isinstance(answer, dict)) == [False] + 7 * [
        True
    ]
    assert books.held() == 80


def test_a_hold_is_repeated_by_its_id_and_other_content_is_a_conflict(books: Books) -> None:
    books.place(30, "one", agent="scout")
    with books.nothing_moves():
        assert books.place(30, "one", agent="scout")["replayed"]
    with books.refused("idempotency_conflict"):
        books.place(31, "one", agent="scout")
    books.finish("one", 30)
    with books.nothing_moves():
        assert books.place(30, "one", agent="scout")["state"] == "settled"


def test_a_hold_by_action_keeps_the_price_it_was_placed_at(books: Books) -> None:
    card = {"action": "message", "quantity": 3}
    assert books.ledger.place_hold("a", {"id": "one", **card})["amount"] == 3 * CREDIT
    books.price("message", credits=9 * CREDIT)
    with books.nothing_moves():
        assert books.ledger.place_hold("a", {"id": "one", **card})["amount"] == 3 * CREDIT
    assert books.finish("one")["settled"] == 3 * CREDIT
    used = books.query("select action, quantity, hold_id from billing.credit_usage")
    assert used == [{"action": "message", "quantity": 3, "hold_id": "one"}]


def test_a_hold_by_model_and_dimensions_costs_what_its_card_says(books: Books) -> None:
    books.price("llm", model="m", rates={"tokens": {"credits": 3 * CREDIT, "per": 1000}})
    event = {"action": "llm", "dimensions": {"model": "m", "tokens": 2500}}
    assert books.ledger.place_hold("a", {"id": "one", **event})["amount"] == 7_500_000
    used = books.finish("one", usage=[{"action": "llm", "dimensions": {"model": "m", "tokens": 1}}])
    assert used["settled"] == 3000
    with books.refused("unknown_model"):
        books.ledger.place_hold(
            "a", {"id": "two", "action": "llm", "dimensions": {"model": "x", "tokens": 1}}
        )
    with books.refused("unknown_action"):
        books.ledger.place_hold("a", {"id": "two", "action": "nobody knows it"})
    books.assert_sound()


@pytest.mark.parametrize(("cost", "left"), [(10, 90), (40, 60), (70, 30), (100, 0), (130, -30)])
def test_a_settlement_charges_what_it_cost_less_or_more_than_was_held(
    books: Books, cost: float, left: float
) -> None:
    books.place(40, "one")
    settled = books.finish("one", cost)
    assert (settled["state"], settled["settled"]) == ("settled", cost * CREDIT)
    assert settled["available"] == max(0, left) * CREDIT
    assert (books.balance(), books.held()) == (left, 0)
    assert books.ledger.get_balance("a")["debt"] == max(0, -left) * CREDIT
    books.assert_sound()


def test_more_than_was_held_is_debt_when_the_balance_was_drained_meanwhile(books: Books) -> None:
    books.place(40, "one")
    books.spend(60)
    assert books.finish("one", 55)["available"] == 0
    assert books.balance() == -15
    books.assert_sound()


def test_the_overdraft_is_used_before_anything_is_refused_and_nothing_is_dropped_after_it(
    books: Books,
) -> None:
    books.query(
        "update billing.credit_balances set overdraft = %s, status = 'grace', grace_until = now() + interval '1 hour'",
        20 * CREDIT,
    )
    books.place(120, "one")
    with books.refused("insufficient_credits"):
        books.place(0.000001)
    books.finish("one", 150)
    assert books.balance() == -50
    books.assert_sound()


def test_a_settlement_of_nothing_charges_nothing_and_one_without_a_word_all_that_is_left(
    books: Books,
) -> None:
    books.place(10, "none")
    books.place(10, "empty")
    books.place(10, "all")
    assert books.finish("none", 0)["settled"] == 0
    assert books.finish("empty", usage=[])["settled"] == 0
    books.draw("all", "d1", 4)
    assert books.finish("all")["settled"] == 10 * CREDIT
    assert (books.balance(), books.held()) == (90, 0)
    books.assert_sound()


def test_a_settlement_by_usage_is_one_entry_and_a_row_an_item(books: Books) -> None:
    books.place(20, "one", agent="scout", run_id="r")
    items = [
        {"action": "message", "quantity": 2},
        {"amount": 5 * CREDIT, "agent": "writer"},
        {"amount": 0},
    ]
    assert books.finish("one", usage=items)["settled"] == 7 * CREDIT
    used = books.query(
        "select action, agent, run_id, credits, hold_id from billing.credit_usage order by credits"
    )
    assert [tuple(row.values()) for row in used] == [
        ("message", "scout", "r", 2 * CREDIT, "one"),
        (None, "writer", "r", 5 * CREDIT, "one"),
    ]
    assert books.value("select count(*) from billing.credit_transactions where source_kind = 'hold'") == 1
    books.assert_sound()


def test_an_item_without_a_price_refuses_the_whole_settlement(books: Books) -> None:
    books.place(20, "one")
    with books.refused("unknown_action"):
        books.finish("one", usage=[{"amount": CREDIT}, {"action": "nobody knows it"}])
    assert books.finish("one", 1)["state"] == "settled"


def test_each_draw_is_charged_once_by_its_id(books: Books) -> None:
    books.place(30, "one")
    assert books.draw("one", "d1", 10)["remaining"] == 20 * CREDIT
    with books.nothing_moves():
        assert books.draw("one", "d1", 10)["replayed"]
    with books.refused("idempotency_conflict"):
        books.draw("one", "d1", 11)
    assert books.draw("one", "d2", 15)["remaining"] == 5 * CREDIT
    assert books.draw("one", "d3", 15)["remaining"] == 0
    assert (books.balance(), books.held()) == (60, 0)
    assert books.finish("one")["spent"] == 40 * CREDIT
    with books.nothing_moves():
        assert books.draw("one", "d2", 15)["replayed"]
    with books.refused("state_conflict"):
        books.draw("one", "d4", 1)
    books.assert_sound()


def test_a_draw_without_an_id_is_refused(books: Books) -> None:
    books.place(30, "one")
    with books.refused("invalid_value"):
        books.finish("one", 1, final=False)


def test_a_draw_may_reserve_more_and_says_when_there_is_no_more(books: Books) -> None:
    books.place(30, "one")
    more = books.draw("one", "d1", 30, reserve=40 * CREDIT)
    assert (more["refusal"], more["remaining"], more["amount"]) == (None, 40 * CREDIT, 70 * CREDIT)
    before = more["expires_at"]
    too_much = books.draw("one", "d2", 10, reserve=100 * CREDIT, expires_in=7200)
    assert too_much["refusal"] is not None
    assert too_much["refusal"]["sqlstate"] == "RF002"
    assert (too_much["spent"], too_much["remaining"]) == (40 * CREDIT, 30 * CREDIT)
    assert too_much["expires_at"] > before
    books.assert_sound()


def test_a_draw_whose_reservation_reaches_the_threshold_asks_for_the_charge(books: Books) -> None:
    books.enable()
    books.place(30, "one")
    assert books.draw("one", "d1", 1, reserve=62 * CREDIT)["topup_due"]


@pytest.mark.parametrize("pushed", [None, 60])
def test_a_hold_whose_time_is_up_reserves_no_more_unless_it_is_extended(
    books: Books, pushed: int | None
) -> None:
    """Its own credits would be found by expiring it, and then be held for nobody."""
    books.place(80, "one")
    books.overdue("one")
    answer = books.draw("one", "d1", 0, reserve=50 * CREDIT, **({"expires_in": pushed} if pushed else {}))
    assert answer["state"] == "open"
    assert answer["refusal"] is not None
    assert answer["refusal"]["sqlstate"] == ("RF002" if pushed else "RF010")
    assert books.held() == 80
    books.assert_sound()


def test_a_settlement_answers_again_and_another_amount_is_a_conflict(books: Books) -> None:
    books.place(30, "one")
    first = books.finish("one", 10)
    with books.nothing_moves():
        again = books.finish("one", 10)
    assert (again["replayed"], again["settled"]) == (True, first["settled"])
    with books.refused("idempotency_conflict"):
        books.finish("one", 11)
    with books.refused("idempotency_conflict"):
        books.finish("one")


@pytest.mark.parametrize("more", [{"amount": 10 * CREDIT}, {"usage": [{"action": "research"}]}, {}])
def test_of_instances_that_settle_at_once_one_charges(books: Books, more: dict[str, Any]) -> None:
    books.place(10, "one")
    answers = books.together(8, lambda _: books.ledger.settle_hold("a", "one", more))
    assert sorted(answer["replayed"] for answer in answers if isinstance(answer, dict)) == [False] + 7 * [
        True
    ]
    assert books.value("select count(*) from billing.credit_transactions where kind = 'usage'") == 1
    books.assert_sound()


def test_of_instances_that_settle_different_amounts_at_once_one_charges(books: Books) -> None:
    books.place(20, "one")
    answers = books.together(8, lambda number: books.finish("one", number + 1))
    settled = [answer for answer in answers if isinstance(answer, dict)]
    assert len(settled) == 1
    assert {e.code for e in answers if isinstance(e, Refused)} == {"idempotency_conflict"}
    assert books.balance() == 100 - settled[0]["settled"] / CREDIT
    books.assert_sound()


def test_a_release_gives_all_back_and_answers_again(books: Books) -> None:
    books.place(80, "one")
    books.draw("one", "d1", 5)
    released = books.ledger.release_hold("a", "one")
    assert (released["state"], released["available"], released["spent"]) == (
        "released",
        95 * CREDIT,
        5 * CREDIT,
    )
    with books.nothing_moves():
        assert books.ledger.release_hold("a", "one")["state"] == "released"
    with books.refused("state_conflict") as refusal:
        books.finish("one", 1)
    assert refusal.value.extra == {"state": "released"}
    with books.refused("state_conflict"):
        books.ledger.extend_hold("a", "one", 60)
    books.assert_sound()


def test_a_settled_hold_is_neither_released_nor_extended(books: Books) -> None:
    books.place(80, "one")
    books.finish("one", 1)
    with books.refused("state_conflict"):
        books.ledger.release_hold("a", "one")
    with books.refused("state_conflict"):
        books.ledger.extend_hold("a", "one", 60)


def test_what_moves_between_a_hold_and_its_settlement_moves_beside_it(books: Books) -> None:
    books.place(50, "one")
    books.spend(50)
    with books.refused("insufficient_credits"):
        books.spend(0.000001)
    books.use(30)
    books.ledger.adjust_credits("x", "a", 10 * CREDIT, "because", "operator")
    assert books.finish("one", 50)["available"] == 0
    assert books.balance() == -20
    books.assert_sound()


def test_lots_that_expire_while_they_are_held_leave_a_debt_and_not_less_charged(books: Books) -> None:
    books.open("b")
    books.grant("soon", 60, account="b", expires_in="1 hour")
    books.place(60, "one", account="b", expires_in=86400)
    books.age("2 hours")
    books.ledger.expire_lots(10)
    assert books.ledger.get_balance("b")["available"] == 0
    books.finish("one", 40, account="b")
    assert (books.balance("b"), books.held("b")) == (-40, 0)
    books.assert_sound()


def test_a_paused_account_reserves_nothing_and_settles_what_it_holds(books: Books) -> None:
    books.place(40, "one")
    books.query("update billing.credit_balances set status = 'paused'")
    with books.refused("account_paused"):
        books.place(1)
    with books.refused("account_paused"):
        books.place(1, parent_id="one")
    with books.refused("account_paused"):
        books.ledger.spend_credits("a", {"id": "e", "amount": 1, "hold_id": "one"})
    assert books.finish("one", 30)["settled"] == 30 * CREDIT
    assert (books.balance(), books.held()) == (70, 0)


def test_what_is_not_there_is_refused(books: Books) -> None:
    books.open("b", 100)
    books.place(10, "theirs", account="b")
    for account, hold, code in (
        ("nobody", "theirs", "unknown_account"),
        ("a", "nothing", "not_found"),
        ("a", "theirs", "not_found"),
    ):
        for call in (
            lambda: books.finish(hold, 1, account=account),  # noqa: B023 - called at once
            lambda: books.finish(hold, 1, account=account, final=False, id="d"),  # noqa: B023
            lambda: books.ledger.extend_hold(account, hold, 60),  # noqa: B023
            lambda: books.ledger.release_hold(account, hold),  # noqa: B023
            lambda: books.ledger.get_hold(account, hold),  # noqa: B023
            lambda: books.place(1, account=account, parent_id=hold),  # noqa: B023
        ):
            with books.refused(code):
                call()
    with books.refused("unknown_account"):
        books.place(1, account="nobody")
    with books.refused("not_found"):
        books.ledger.spend_credits("a", {"id": "e", "amount": 1, "hold_id": "theirs"})


def test_holds_are_listed_newest_first_by_page_and_state(books: Books) -> None:
    for number in range(7):
        books.place(1, f"h{number} | ü/%")
    books.finish("h3 | ü/%", 1)
    seen, cursor = [], None
    while True:
        page = books.ledger.list_holds("a", 3, cursor)
        seen += [hold["id"][:2] for hold in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["h6", "h5", "h4", "h3", "h2", "h1", "h0"]
    assert [h["id"] for h in books.ledger.list_holds("a", 9, None, "settled")["data"]] == ["h3 | ü/%"]
    with books.refused("invalid_value"):
        books.ledger.list_holds("a", 9, "garbage")
    with books.refused("invalid_value"):
        books.ledger.list_holds("a", 9, None, "garbage")


ODD = [
    "NaN",
    float("nan"),
    float("inf"),
    1.5,
    0,
    -1,
    10**15 + 1,
    2**63,
    10**30,
    "1e3",
    "\uff11\uff12",
    True,
    [],
    {},
    "ten",
]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_amounts_are_refused_wherever_they_stand_and_move_nothing(books: Books, odd: Any) -> None:
    books.place(10, "run")
    calls = [
        lambda: books.ledger.place_hold("a", {"id": "x", "amount": odd}),
        lambda: books.ledger.place_hold("a", {"id": "x", "amount": odd, "parent_id": "run"}),
        lambda: books.ledger.place_hold("a", {"id": "x", "action": "message", "quantity": odd}),
        lambda: books.ledger.place_hold("a", {"id": "x", "amount": 1, "expires_in": odd}),
        lambda: books.ledger.spend_credits("a", {"id": "x", "amount": odd, "hold_id": "run"}),
        lambda: books.ledger.quote_credits("a", {"amount": odd}),
        lambda: books.ledger.settle_hold("a", "run", {"usage": [{"action": "message", "quantity": odd}]}),
    ]
    if odd != 0:
        calls += [
            lambda: books.ledger.settle_hold("a", "run", {"amount": odd}),
            lambda: books.ledger.settle_hold("a", "run", {"final": False, "id": "d", "amount": odd}),
            lambda: books.ledger.settle_hold("a", "run", {"usage": [{"amount": odd}]}),
        ]
    for call in calls:
        with books.nothing_moves(), pytest.raises(Refused) as refusal:
            call()
        assert refusal.value.code in CODES


@pytest.mark.parametrize(
    "odd", [None, [], {}, "x", 5, [None], ["x"], [[]], [{}], {"id": None}, {"usage": {}}], ids=repr
)
def test_odd_bodies_are_refused_and_move_nothing(books: Books, odd: Any) -> None:
    books.place(10, "run")
    for call in (
        lambda: books.ledger.place_hold("a", odd),
        lambda: books.ledger.settle_hold("a", "run", {"usage": odd if odd != [] else 1}),
        lambda: books.ledger.settle_hold("a", "run", {"final": odd if odd is not None else "x"}),
        lambda: books.ledger.set_limit("a", odd, "admin"),
        lambda: books.ledger.set_action_cost(odd, "operator"),
        lambda: books.ledger.spend_credits("a", odd),
        lambda: books.ledger.quote_credits("a", odd),
    ):
        with books.nothing_moves(), pytest.raises(Refused) as refusal:
            call()
        assert refusal.value.code in CODES
