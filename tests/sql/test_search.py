"""billing.search_records: what an operator's text finds, and what it cannot do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sql.books import CREDIT, Books

ACCOUNTS = {
    "org_1": ("Acme Labs", "billing@acme.example"),
    "org_2": ("ACME Foods", "ap@foods.example"),
    "org_3": ("Globex 100%", "under_score@globex.example"),
    "org_4": ("O'Brien; drop table billing.accounts --", None),
    "acme": ("Another one", None),
    "org_5": ("a%c %c% c%e and abcd bcde", None),
}


@pytest.fixture(autouse=True)
def accounts(books: Books) -> None:
    for account, (name, email) in ACCOUNTS.items():
        books.ledger.open_account(account, name, email, None, 5 * CREDIT, "test")


def found(books: Books, text: str, account: str | None = None, limit: int = 50) -> list[tuple[str, str]]:
    """Kind and id of what is found; finding moves nothing."""
    with books.nothing_moves():
        answer = books.ledger.search_records(text, account, limit)
    return [(hit["kind"], hit["id"]) for hit in answer["hits"]]


def named(books: Books, text: str) -> set[str]:
    hits = found(books, text)
    assert {kind for kind, _ in hits} <= {"account"}
    return {name for _, name in hits}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("acme labs", {"org_1"}),
        ("cme", {"org_1", "org_2", "acme"}),
        ("ACME", {"org_1", "org_2", "acme"}),
        ("billing@ACME", {"org_1"}),
        ("foods", {"org_2"}),
        ("  globex  ", {"org_3"}),
        ("or", {"org_1", "org_2", "org_3", "org_4", "org_5"}),
        ("rg", set()),  # too short for the middle of a word
        ("abcde", set()),  # its pieces stand in org_5, and not one after the other
        ("nobody", set()),
        ("", set()),
        ("   ", set()),
    ],
)
def test_accounts_are_found_by_a_part_of_their_id_name_or_address(
    books: Books, text: str, wanted: set[str]
) -> None:
    assert named(books, text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("100%", {"org_3"}),
        ("%%%", set()),
        ("___", set()),
        ("r_s", {"org_3"}),
        ("a_me", set()),
        ("a%e", set()),
        ("a%c%e", set()),
        ("a%c %c", {"org_5"}),
        ("\\\\\\", set()),
        ("' or true --", set()),
        ("O'Brien; drop table billing.accounts --", {"org_4"}),
        ("'; delete from billing.accounts; --", set()),
        (".*", set()),
        ("x" * 100_000, set()),
        ("\U0001f4a9\u0130\u0301" * 5, set()),
    ],
)
def test_no_character_means_anything_but_itself(books: Books, text: str, wanted: set[str]) -> None:
    assert named(books, text) == wanted
    assert books.value("select count(*) from billing.accounts") == len(ACCOUNTS)


def test_an_account_is_shown_with_its_name_status_and_balance(books: Books) -> None:
    answer = books.ledger.search_records("foods", None, 10)
    assert answer == {
        "by_key": False,
        "more": False,
        "hits": [
            {
                "kind": "account", "id": "org_2", "account_id": "org_2", "state": None, "name": "ACME Foods",
                "email": "ap@foods.example", "status": "active", "balance": 5 * CREDIT,
            }
        ],
    }  # fmt: skip


def test_an_exact_id_comes_before_names_that_contain_it(books: Books) -> None:
    answer = books.ledger.search_records("acme", None, 10)
    assert (answer["by_key"], [hit["id"] for hit in answer["hits"]]) == (True, ["acme"])


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_more_than_asked_for_and_it_says_that_there_is_more(books: Books, limit: int) -> None:
    answer = books.ledger.search_records("ACME", None, limit)
    assert (len(answer["hits"]), answer["more"]) == (limit, limit < 3)
    assert len(books.query("select * from billing._find_accounts('acme', %s)", limit)) == limit


def paid(books: Books) -> dict[str, str]:
    """A purchase with everything that Stripe calls it."""
    books.ledger.link_customer("org_1", "cus_one")
    payment = books.ledger.open_purchase("pay_1", "org_1", "credits_100", 1, "cus_one")["id"]
    books.ledger.attach_checkout_session(payment, "cs_1", "https://stripe.test")
    books.settle(payment, payment_intent="pi_1", charge="ch_1", checkout_session="cs_1")
    refund = {"id": "re_1", "amount": 100, "status": "succeeded", "reason": None, "created": 1}
    books.ledger.reverse_payment(payment, 0, {"refunds": [refund], "disputes": []})
    return dict.fromkeys(("pay_1", "pi_1", "cs_1", "ch_1", "re_1"), payment)


def test_a_payment_is_found_by_every_id_that_stripe_has_for_it(books: Books) -> None:
    for text, payment in paid(books).items():
        assert found(books, text) == [("payment", payment)], text
        assert found(books, f" {text} ") == [("payment", payment)], text
        assert found(books, text[:-1]) == [], "half an id is no id"
    assert found(books, "cus_one") == [("account", "org_1")]
    (hit,) = books.ledger.search_records("pi_1", None, 9)["hits"]
    assert (hit["account_id"], hit["name"], hit["state"]) == ("org_1", "Acme Labs", "succeeded")


def test_a_topup_leads_to_its_payment(books: Books) -> None:
    books.open("a", 100)
    books.enable()
    books.use(95)
    topup = books.charge()
    payment = str(books.topup(topup)["payment_id"])
    for text in (topup, f"pi_{topup}", payment):
        assert found(books, text) == [("payment", payment)]


def test_an_event_is_found_by_its_id_and_by_what_it_is_about(books: Books) -> None:
    for number in (1, 2, 3):
        books.ledger.record_stripe_event(f"evt_{number}", "x.y", "pi_9", False, "v", b"{}", 1, None)
    assert found(books, "evt_2") == [("event", "evt_2")]
    assert {name for _, name in found(books, "pi_9")} == {"evt_1", "evt_2", "evt_3"}
    answer = books.ledger.search_records("pi_9", None, 2)
    assert (answer["by_key"], len(answer["hits"]), answer["more"]) == (False, 2, True)


def entries(books: Books, account: str) -> list[dict[str, Any]]:
    return books.query("select * from billing.credit_transactions where account_id = %s order by id", account)


def test_holds_usage_and_entries_are_found_within_their_account_alone(books: Books) -> None:
    books.place(1, "run-42", account="org_1")
    books.spend(1, account="org_1", event_id="chat-7")
    books.ledger.adjust_credits("adj_x", "org_1", CREDIT, "r", "test")
    grant, spent, adjusted = (row["id"] for row in entries(books, "org_1"))
    wanted = {
        "run-42": ("hold", "run-42"),
        "chat-7": ("entry", str(spent)),
        "adj_x": ("entry", str(adjusted)),
        f"txn_{grant}": ("entry", str(grant)),
    }
    for text, hit in wanted.items():
        assert found(books, text, "org_1") == [hit]
        assert found(books, f"org_1 {text}") == [hit]
        assert found(books, f"org_1   {text}") == [hit]
        assert found(books, text, "org_2") == []
        assert found(books, f"org_2 {text}") == []
        assert found(books, text) == []
    assert found(books, "txn_99999999999999999999", "org_1") == []
    assert found(books, "txn_1; select 1", "org_1") == []
    # Within an account nothing else is looked for.
    assert found(books, "org_2", "org_1") == []


def test_the_pieces_of_names_are_looked_up_by_index(books: Books) -> None:
    """With many accounts; a plan over few of them would say nothing."""
    books.query(
        "insert into billing.accounts (id, name) select 'many_' || n, 'Company ' || md5(n::text)"
        " from generate_series(1, 5000) n; analyze billing.accounts"
    )
    wanted = books.value("select md5('77')")[5:15]
    plan = books.query(
        "explain select id from billing.accounts a"
        " where billing._trigrams(a.id || ' ' || a.name || ' ' || coalesce(a.email, '')) @> billing._trigrams(%s)",
        wanted,
    )
    assert "accounts_search" in str(plan)
    assert named(books, wanted) == {"many_77"}
