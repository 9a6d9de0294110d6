"""The history page: movements in words, filters, pages, the file; and the same in the API."""

from __future__ import annotations

import csv
import datetime as dt
import html
import io
import re
import time
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from shared.ledger import Ledger
from tests.support import Database
from tests.web.browsing import rows
from tests.web.conftest import KeyMaker
from tests.web.test_account_pages import CALLS_MAX, counted, owner
from web.pages import history

__all__ = ["owner"]
CREDIT = 1_000_000
HOSTILE = "<script>alert(1)</script>'\""
ENTRIES = 10_000
TODAY = dt.datetime.now(dt.UTC).date()


def shown(page: str) -> list[int]:
    """The ids of the entries on a page, in its order."""
    return [int(number) for number in re.findall(r'<tr id="txn-(\d+)"', page)]


def link(page: str, label: str) -> str | None:
    found = re.search(rf'href="([^"]+)" rel="\w+">{label}</a>', page)
    return html.unescape(found[1]) if found else None


def pages(browser: FlaskClient, address: str | None, label: str) -> Iterator[str]:
    """The page and all that follow it under the label."""
    while address is not None:
        answer = browser.get(address, follow_redirects=True)
        assert answer.status_code == 200
        yield answer.text
        address = link(answer.text, label)


def buy(ledger: Ledger, payment_id: str) -> None:
    ledger.link_customer("acme", "cus_acme")
    ledger.open_purchase(payment_id, "acme", "credits_100", 1, "cus_acme")
    ledger.settle_payment(
        payment_id,
        {
            "payment_intent": f"pi_{payment_id}", "customer": "cus_acme", "amount_received": 500, "currency": "usd",
            "charge": "ch_1", "receipt_url": "https://pay.stripe.com/receipt_1", "occurred_at": int(time.time()),
            "payment_method": "pm_1", "card": None, "saved": False, "checkout_session": None,
        },
    )  # fmt: skip


def test_every_movement_is_told_in_words_with_its_links(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    buy(ledger, "pay_1")
    ledger.spend_credits(
        acme, {"id": "e1", "action": "chat", "agent": "scout", "run_id": "r&1", "member_id": "ada"}
    )
    ledger.record_usage([{"id": f"b{n}", "action": "chat", "agent": "scout"} for n in range(3)], acme)
    ledger.record_usage([{"id": "c1", "action": "chat"}, {"id": "c2", "amount": CREDIT}], acme)
    ledger.adjust_credits("adj_1", acme, -CREDIT, "an internal reason", "ops")
    page = owner.get("/billing/history").text
    for text in (
        "Sign-up credits", "A gift, nothing was charged",
        "Bought", "$5.00 paid", '<a href="https://pay.stripe.com/receipt_1" rel="noopener">Receipt</a>',
        "by scout for ada, out of sign-up credits", 'href="/billing/usage?only=run&amp;name=r%261&amp;by=action"',
        "3 events of chat", "2 events<", "Credits taken by support",
    ):  # fmt: skip
        assert text in page, text
    assert "an internal reason" not in page
    told = re.sub(r'title="[^"]*"|id="[^"]*"|href="[^"]*"', "", page)
    for internal in ("pay_1", "txn_", "lot_", "adj_1"):
        assert internal not in told, internal


def test_85_hostile_names_are_text_and_cells(owner: FlaskClient, ledger: Ledger, acme: str) -> None:
    ledger.set_action_cost({"action": "=cmd|x", "credits": 1}, "tests")
    ledger.spend_credits(acme, {"id": HOSTILE, "action": "=cmd|x", "agent": HOSTILE, "run_id": HOSTILE})
    page = owner.get("/billing/history").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    text = owner.get("/billing/history.csv").text
    newest = next(csv.DictReader(io.StringIO(text)))
    assert newest["explanation"].startswith("'=cmd|x")


def test_filters_by_kind_and_days(owner: FlaskClient, ledger: Ledger, acme: str) -> None:
    ledger.spend_credits(acme, {"id": "e1", "action": "chat"})
    everything = shown(owner.get("/billing/history").text)
    assert len(everything) == 2
    assert shown(owner.get("/billing/history?kind=usage").text) == everything[:1]
    assert shown(owner.get(f"/billing/history?from={TODAY}&to={TODAY}").text) == everything
    tomorrow = owner.get(f"/billing/history?from={TODAY + dt.timedelta(days=1)}").text
    assert shown(tomorrow) == []
    assert "Nothing of this kind in this period" in tomorrow
    assert shown(owner.get(f"/billing/history?to={TODAY - dt.timedelta(days=1)}").text) == []


def test_csv_says_the_ledgers_own_numbers_in_credits_with_their_signs(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    ledger.spend_credits(acme, {"id": HOSTILE, "action": "chat"})
    ledger.adjust_credits("=1+1", acme, -1, "tests", "tests")
    lines = list(csv.DictReader(io.StringIO(owner.get("/billing/history.csv").text)))
    assert [(line["kind"], line["credits"], line["balance_after"]) for line in lines] == [
        ("adjustment", "-0.000001", "97.499999"),
        ("usage", "-2.5", "97.5"),
        ("signup", "100", "100"),
    ]
    assert [line["source_id"][:2] for line in lines] == ["'=", HOSTILE[:2], "ac"]
    booked = ledger.list_transactions(acme, 9, None)["data"]
    assert [line["entry"] for line in lines] == [f"txn_{row['id']}" for row in booked]
    assert {line["booked_at"][:10] for line in lines} == {str(TODAY)}


def test_a_filter_is_kept_from_page_to_page_and_in_the_file(
    owner: FlaskClient, ledger: Ledger, acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "ENTRIES_SHOWN", 2)
    monkeypatch.setattr(history, "ENTRIES_A_READ", 2)
    for number in range(5):
        ledger.spend_credits(acme, {"id": f"e{number}", "action": "chat"})
        ledger.adjust_credits(f"a{number}", acme, 1, "tests", "tests")
    address = f"/billing/history?kind=usage&from={TODAY}&to={TODAY}"
    shown_pages = list(pages(owner, address, "Older"))
    used = [row["id"] for row in ledger.list_transactions(acme, 99, None, "usage")["data"]]
    assert [number for page in shown_pages for number in shown(page)] == used
    file = re.search(r'href="(/billing/history\.csv[^"]+)"', shown_pages[0])
    assert file is not None
    lines = csv.DictReader(io.StringIO(owner.get(html.unescape(file[1])).text))
    assert [line["entry"] for line in lines] == [f"txn_{number}" for number in used]


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("from=2026-11-20&to=2026-11-19&kind=usage", "to", "The last day cannot be before the first one."),
        ("from=2026-02-30", "from", "Write a day such as 2026-11-30."),
        ("to=x", "to", "Write a day such as 2026-11-30."),
        ("kind=x", "kind", "Choose one of these."),
    ],
)
def test_a_period_that_is_none_is_a_fault_at_its_field(
    owner: FlaskClient, query: str, field: str, said: str
) -> None:
    answer = owner.get(f"/billing/history?{query}")
    assert answer.status_code == 422
    assert f'<small id="{field}-fault" class="fault">{said}</small>' in answer.text
    assert re.search(
        rf'name="{field}" id="{field}" aria-invalid="true" aria-describedby="{field}-fault"', answer.text
    )
    assert "Nothing of this kind" not in answer.text
    assert "as CSV" not in answer.text
    if "2026-11-19" in query:
        for kept in ('value="2026-11-20"', 'value="2026-11-19"', 'value="usage" selected'):
            assert kept in answer.text
    refused = owner.get(f"/billing/history.csv?{query}")
    assert (refused.status_code, said in refused.text) == (422, True)


@pytest.mark.parametrize(
    "query",
    ["kind=x", "from=x", "to=2026-02-30", "cursor=x", "cursor=-1", "cursor=" + "9" * 30, "cursor=%C2%B2"],
)
def test_what_is_no_page_is_refused(owner: FlaskClient, query: str) -> None:
    assert owner.get(f"/billing/history?{query}").status_code == 422


def test_ten_thousand_entries_page_by_page_there_and_back(
    owner: FlaskClient, ledger: Ledger, acme: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(
        database,
        "insert into billing.credit_transactions (account_id, kind, counter_account, amount, balance_after, source_kind,"
        f" source_id) select 'acme', 'usage', 'usage', -1, 0, 'usage', 'old' || i from generate_series(1, {ENTRIES}) i"
        " returning 1",
    )
    there = list(pages(owner, "/billing/history", "Older"))
    ids = [number for page in there for number in shown(page)]
    assert len(ids) == ENTRIES + 1
    assert ids == sorted(set(ids), reverse=True)
    with counted(monkeypatch) as made:
        back = list(pages(owner, link(there[-1], "Newer"), "Newer"))
    assert len(made) <= CALLS_MAX * len(there)
    assert shown(back[-1]) == shown(there[0])
    assert link(back[-1], "Newer") is None
    assert {number for page in back for number in shown(page)} >= set(ids[: -len(shown(there[-1]))])
    text = owner.get("/billing/history.csv?kind=usage").text
    assert text.count("\n") == ENTRIES + 1


def test_usage_is_told_from_its_own_events_wherever_the_page_is(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    """Debits of several accounts and of batches between: each entry names its own agent."""
    ledger.open_account("other", "Other", None, None, 1000 * CREDIT, "tests")
    for number in range(60):
        ledger.spend_credits("other", {"id": f"o{number}", "amount": 1, "agent": "of another"})
        ledger.record_usage(
            [{"id": f"b{number}-{n}", "amount": 1, "agent": f"agent {number}"} for n in range(3)], acme
        )
    told = [
        agent
        for page in pages(owner, "/billing/history", "Older")
        for agent in re.findall(r"by agent (\d+),", page)
    ]
    assert told == [str(number) for number in reversed(range(60))]


def test_api_takes_the_same_filters_and_pages(
    client: FlaskClient, key: KeyMaker, ledger: Ledger, acme: str
) -> None:
    for number in range(4):
        ledger.spend_credits(acme, {"id": f"e{number}", "action": "chat", "agent": "scout"})
    token = key()

    def ask(**query: object) -> dict[str, object]:
        answer = client.get(
            "/api/credits/transactions", query_string={"account_id": acme} | query, headers=token
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    first = ask(kind="usage", limit=2)
    assert (first["previous_cursor"], first["next_cursor"] is None) == (None, False)
    entry = first["data"][0]  # type: ignore[index]
    assert entry["usage"] | {"events": 1, "agent": "scout"} == entry["usage"]
    assert entry["draws"][0]["kind"] == "signup"
    older = ask(kind="usage", limit=2, cursor=first["next_cursor"])
    assert older["next_cursor"] is None
    newer = ask(kind="usage", limit=2, cursor=older["previous_cursor"], newer="true")
    assert newer["data"] == first["data"]
    assert newer["previous_cursor"] is None
    assert ask(**{"from": str(TODAY + dt.timedelta(days=1))})["data"] == []
