"""Rate cards: what an action costs by model and dimension, since when, for whom; and the same by every way in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.db import PostgresDatabase
from shared.errors import Refused
from tests.sql.books import CREDIT, Books
from tests.support import Cluster

TOKENS = {
    "input_tokens": {"credits": 3 * CREDIT, "per": 1_000_000},
    "output_tokens": {"credits": 15 * CREDIT, "per": 1_000_000},
    "cached_tokens": {"credits": 300_000, "per": 1_000_000},
}


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 1000)
    books.open("b", 1000)


def cost(books: Books, action: str, account: str = "a", **event: Any) -> int:
    return books.ledger.quote_credits(account, {"action": action} | event)["credits"]


def at(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


@pytest.mark.parametrize(
    ("dimensions", "credits"),
    [
        ({"input_tokens": 1_000_000}, 3_000_000),
        ({"input_tokens": 1}, 3),
        ({"cached_tokens": 1}, 1),
        ({"cached_tokens": 4}, 2),
        ({"cached_tokens": 1, "input_tokens": 1}, 4),
        ({"input_tokens": 1234, "output_tokens": 567, "cached_tokens": 89}, 3702 + 8505 + 27),
        ({"input_tokens": 1, "cached_tokens": 0, "output_tokens": None}, 3),
        ({"input_tokens": 0.5}, 2),
        ({"input_tokens": 1, "region": "eu", "stream": True}, 3),
    ],
)
def test_every_pool_has_its_rate_and_the_sum_is_rounded_up_once(
    books: Books, dimensions: dict[str, Any], credits: int
) -> None:
    books.price("llm", model="m", rates=TOKENS)
    assert cost(books, "llm", dimensions={"model": "m"} | dimensions) == credits


def test_thirds_add_up_to_whole_credits(books: Books) -> None:
    third = {"credits": 2, "per": 3}
    books.price("odd", rates={"a": third, "b": third, "c": third, "d": {"credits": 10**15, "per": 7}})
    assert cost(books, "odd", dimensions={"a": 1, "b": 1, "c": 1}) == 2
    assert cost(books, "odd", dimensions={"a": 1, "b": 1}) == 2
    assert cost(books, "odd", dimensions={"d": 3, "a": 1}) == math.ceil(
        Fraction(3 * 10**15, 7) + Fraction(2, 3)
    )


def test_a_pool_without_a_rate_is_refused_by_name_and_never_free(books: Books) -> None:
    books.price("llm", model="m", rates=TOKENS)
    event = {
        "id": "e",
        "action": "llm",
        "dimensions": {"model": "m", "input_tokens": 5, "reasoning_tokens": 5},
    }
    with books.refused("unknown_dimension"):
        books.ledger.spend_credits("a", event)
    with books.refused("unknown_dimension"):
        books.ledger.place_hold("a", event)
    event["dimensions"] = {"model": "m", "input_tokens": 5, "audio_tokens": 0}
    with books.refused("unknown_dimension"):
        books.ledger.spend_credits("a", event)


@pytest.mark.parametrize("odd", ["5", True, -1, 1e300, [5], {"n": 5}], ids=repr)
def test_a_count_that_is_none_is_refused_and_not_left_out(books: Books, odd: Any) -> None:
    books.price("llm", credits=CREDIT, rates=TOKENS)
    event = {"id": "e", "action": "llm", "dimensions": {"input_tokens": 5, "output_tokens": odd}}
    with books.refused("invalid_value"):
        books.ledger.spend_credits("a", event)
    assert books.ledger.record_usage([event], "a")["rejected"][0]["code"] == "invalid_value"
    with books.refused("unknown_dimension" if isinstance(odd, dict) else "invalid_value"):
        books.ledger.spend_credits("a", event | {"dimensions": odd})


def test_an_unknown_model_is_never_priced_by_another_card(books: Books) -> None:
    books.price("llm", credits=CREDIT)
    assert cost(books, "llm", dimensions={"model": "m"}) == CREDIT
    books.price("llm", model="m", credits=5 * CREDIT)
    assert cost(books, "llm", dimensions={"model": "m"}) == 5 * CREDIT
    assert cost(books, "llm") == CREDIT
    for model in ("x", "M", "m ", ""):
        if model:
            with books.refused("unknown_model"):
                books.ledger.spend_credits("a", {"id": "e", "action": "llm", "dimensions": {"model": model}})
    with books.refused("unknown_action"):
        cost(books, "LLM")
    books.price("other", model="m", credits=CREDIT)
    with books.refused("unknown_model"):
        cost(books, "other")


def test_an_account_has_prices_of_its_own(books: Books) -> None:
    books.price("message", account_id="a", credits=2 * CREDIT)
    assert (cost(books, "message"), cost(books, "message", "b")) == (2 * CREDIT, CREDIT)
    assert books.ledger.spend_credits("a", {"id": "e", "action": "message"})["credits"] == 2 * CREDIT
    batch = [{"id": "x", "action": "message", "account_id": name} for name in ("a", "b")]
    books.ledger.record_usage(batch)
    assert (books.balance("a"), books.balance("b")) == (996, 999)
    own = [card["credits"] for card in books.ledger.list_actions("a") if card["action"] == "message"]
    assert own == [CREDIT, 2 * CREDIT]
    assert len([card for card in books.ledger.list_actions("b") if card["action"] == "message"]) == 1
    books.price("message", account_id="a", retire=True)
    assert cost(books, "message") == CREDIT
    with books.refused("unknown_account"):
        books.price("message", account_id="nobody", credits=CREDIT)
    books.assert_sound()


def test_a_price_counts_from_its_time_and_usage_costs_what_it_cost_when_it_happened(books: Books) -> None:
    before = at(seconds=-5)
    books.price("message", credits=7 * CREDIT)
    assert cost(books, "message") == 7 * CREDIT
    books.ledger.record_usage([{"id": "late", "action": "message", "occurred_at": before}], "a")
    assert books.balance() == 999
    books.ledger.record_usage([{"id": "ahead", "action": "message", "occurred_at": at(days=3)}], "a")
    assert books.balance() == 992
    books.assert_sound()


def test_the_first_price_of_all_also_prices_what_happened_before_it(books: Books) -> None:
    before = at(days=-3)
    books.price("fresh", credits=CREDIT)
    books.ledger.record_usage([{"id": "late", "action": "fresh", "occurred_at": before}], "a")
    assert books.balance() == 999


def test_a_scheduled_price_is_replaced_retired_and_shown(books: Books) -> None:
    ahead = at(days=1)
    books.price("message", credits=7 * CREDIT, effective_from=ahead)
    books.price("message", credits=8 * CREDIT, effective_from=ahead)
    books.price("message", credits=9 * CREDIT, effective_from=at(days=2))

    def shown(*, upcoming: bool) -> list[int | None]:
        cards = books.ledger.list_actions(upcoming=upcoming)
        return [card["credits"] for card in cards if card["action"] == "message"]

    assert shown(upcoming=True) == [CREDIT, 8 * CREDIT, 9 * CREDIT]
    assert shown(upcoming=False) == [CREDIT]
    assert cost(books, "message") == CREDIT
    books.assert_sound()
    books.price("message", retire=True, effective_from=ahead)
    assert shown(upcoming=True) == [CREDIT, 9 * CREDIT]
    books.query(
        "update billing.agent_action_costs set effective_until = now() where effective_until < %s", at(days=2)
    )
    with books.refused("unknown_action"):
        cost(books, "message")
    books.assert_sound()


def test_a_retired_price_is_none_any_more_and_old_usage_keeps_it(books: Books) -> None:
    before = at(seconds=-5)
    books.price("message", retire=True)
    with books.refused("unknown_action"):
        books.ledger.spend_credits("a", {"id": "e", "action": "message"})
    books.ledger.record_usage([{"id": "late", "action": "message", "occurred_at": before}], "a")
    assert books.balance() == 999
    with books.refused("not_found"):
        books.price("nobody knows it", retire=True)


def test_no_price_begins_or_ends_in_the_past_or_never(books: Books) -> None:
    for when in (at(hours=-1), "2020-01-01T00:00:00Z", "infinity", "-infinity", "soon"):
        for change in ({"credits": CREDIT}, {"retire": True}):
            with books.refused("invalid_value"):
                books.price("message", effective_from=when, **change)


def test_a_price_that_is_set_twice_for_one_time_is_one_price(books: Books) -> None:
    now = at()
    books.price("message", credits=2 * CREDIT, effective_from=now)
    with books.nothing_moves():
        books.price("message", credits=2 * CREDIT, effective_from=now)
    with books.refused("invalid_value"):
        books.price("message", credits=3 * CREDIT, effective_from=now)
    books.assert_sound()


PER_TOKEN = {"input_tokens": {"credits": 3 * CREDIT, "per": 1}}
PER_MILLION = {"input_tokens": {"credits": 3 * CREDIT, "per": 1_000_000}}


def test_a_unit_that_is_a_slip_is_caught_before_it_charges_anybody(books: Books) -> None:
    def try_it(**card: Any) -> None:
        books.ledger.set_action_cost({"action": "llm"} | card, "operator")

    with books.refused("price_change_too_large"):
        try_it(model="m", rates=PER_TOKEN)
    try_it(model="m", rates=PER_MILLION)
    with books.refused("price_change_too_large") as refusal:
        try_it(model="m", rates=PER_TOKEN)
    assert refusal.value.extra["dimension"] == "input_tokens"
    with books.refused("price_change_too_large"):
        try_it(model="m", rates={"input_tokens": {"credits": 300_000, "per": 1_000_000}})
    with books.refused("price_change_too_large"):
        try_it(model="n", rates={"input_tokens": {"credits": 3 * CREDIT, "per": 1_000}})
    with books.refused("price_change_too_large"):
        try_it(model="n", rates={"input_tokens": {"credits": 2, "per": 1_000_000}})
    try_it(model="n", rates={"input_tokens": {"credits": 60 * CREDIT, "per": 1_000_000}})
    try_it(model="m", rates={"input_tokens": {"credits": 29 * CREDIT, "per": 1_000_000}})
    try_it(model="m", rates=PER_TOKEN, confirm=True)
    with books.refused("price_change_too_large"):
        books.ledger.set_action_cost({"action": "message", "credits": 10 * CREDIT}, "operator")
    with books.refused("price_change_too_large"):
        books.ledger.set_action_cost(
            {"action": "message", "credits": 1000 * CREDIT, "account_id": "a"}, "operator"
        )
    books.ledger.set_action_cost({"action": "message", "credits": 9 * CREDIT}, "operator")
    books.assert_sound()


@pytest.mark.parametrize(
    "card",
    [
        {"action": ""},
        {"action": None},
        {"model": ""},
        {"credits": None},
        {"credits": 0},
        {"credits": 1.5},
        {"credits": "NaN"},
        {"rates": []},
        {"rates": {"x": 5}},
        {"rates": {"x": {"credits": 1}}},
        {"rates": {"x": {"credits": 1, "per": 0}}},
        {"rates": {"x": {"credits": -1, "per": 1}}},
        {"rates": {"model": {"credits": 1, "per": 1}}},
        {"rates": {str(n): {"credits": 1, "per": 1} for n in range(51)}},
    ],
    ids=repr,
)
def test_what_is_no_card_is_refused(books: Books, card: dict[str, Any]) -> None:
    with books.refused("invalid_value"):
        books.ledger.set_action_cost({"action": "x", "credits": 1} | card, "operator")


def test_prices_set_at_once_leave_one_in_force_and_no_gap(books: Books) -> None:
    answers = books.together(12, lambda number: books.price(f"n{number % 2}", credits=CREDIT + number))
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    rows = books.query(
        "select effective_from::text as since, effective_until::text as until from billing.agent_action_costs"
        " where action = 'n0' order by effective_from"
    )
    assert [row["until"] for row in rows] == [row["since"] for row in rows[1:]] + ["infinity"]
    assert len(rows) == 6
    books.assert_sound()


# The same price by every way in

POOLS = ("input_tokens", "output_tokens", "seconds")
RATES = st.dictionaries(
    st.sampled_from(POOLS),
    st.fixed_dictionaries({"credits": st.integers(1, 10**7), "per": st.sampled_from([1, 3, 7, 1000, 10**6])}),
    min_size=1,
)
CARDS = st.lists(
    st.tuples(
        st.sampled_from([None, "m", "n"]),
        st.sampled_from([None, "a"]),
        st.none() | st.integers(1, 10**6),
        st.none() | RATES,
    ).filter(lambda card: card[2] or card[3]),
    min_size=1,
    max_size=3,
)
EVENTS = st.tuples(
    st.sampled_from([None, "m", "n"]),
    st.integers(1, 50),
    st.dictionaries(st.sampled_from(POOLS), st.integers(0, 10**5) | st.sampled_from([0.25, 1.5]), max_size=3),
)


def expected(cards: dict[Any, Any], model: str | None, quantity: int, pools: dict[str, float]) -> int | str:
    """The price by the rules, in exact fractions; or the code."""
    models = {name for name, _ in cards if name}
    named = model if model is None or models else None
    card = cards.get((named, "a"), cards.get((named, None)))
    if card is None:
        return "unknown_model"
    credits, rates = card
    total = Fraction(credits or 0) * quantity
    if rates:
        if not rates.keys() >= pools.keys():
            return "unknown_dimension"
        total += sum(Fraction(n) * rates[pool]["credits"] / rates[pool]["per"] for pool, n in pools.items())
    return math.ceil(total) or "invalid_value"


def asked(call: Any) -> int | str:
    try:
        return int(call())
    except Refused as refusal:
        return refusal.code


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[Books]:
    """One database for all examples; each has an action of its own."""
    with cluster.database() as database:
        made = Books(database, PostgresDatabase(database.dsn))
        made.open("a", 900_000_000)
        yield made
        made.close()


@settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@given(cards=CARDS, events=st.lists(EVENTS, min_size=1, max_size=4))
def test_an_event_costs_the_same_by_every_way_in(world: Books, cards: Any, events: Any) -> None:
    action, ledger = world.fresh("action"), world.ledger
    known = {}
    for model, account, credits, rates in cards:
        names = {"model": model, "account_id": account, "credits": credits, "rates": rates}
        world.price(action, **{name: value for name, value in names.items() if value is not None})
        known[model, account] = (credits, rates)
    batch = []
    for model, quantity, pools in events:
        event = {
            "action": action,
            "quantity": quantity,
            "dimensions": pools | ({"model": model} if model else {}),
        }
        price = expected(known, model, quantity, pools)

        def settled(event: dict[str, Any] = event) -> int:
            hold = world.place(1)
            return world.ledger.settle_hold("a", hold["id"], {"usage": [event]})["settled"]

        def recorded(event: dict[str, Any] = event) -> int | str:
            answer = ledger.record_usage([event | {"id": (name := world.fresh("u"))}], "a")
            codes = [entry["code"] for entry in answer["rejected"]]
            return codes[0] if codes else booked(name)

        def booked(name: str) -> int:
            return int(world.value("select credits from billing.credit_usage where event_id = %s", name))

        assert asked(lambda: ledger.quote_credits("a", event)["credits"]) == price  # noqa: B023 - called at once
        assert asked(lambda: ledger.spend_credits("a", event | {"id": world.fresh("s")})["credits"]) == price  # noqa: B023
        assert asked(lambda: ledger.place_hold("a", event | {"id": world.fresh("h")})["amount"]) == price  # noqa: B023
        assert asked(settled) == price
        answer = recorded()
        assert answer == price
        batch.append((event | {"id": world.fresh("b")}, price))
    ledger.record_usage([event for event, _ in batch], "a")
    for event, price in batch:
        row = world.value("select credits from billing.credit_usage where event_id = %s", event["id"])
        assert row == (price if isinstance(price, int) else None)
