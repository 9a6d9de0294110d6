"""The overview's charts, the usage page, the history page, and the same figures in the API."""

from __future__ import annotations

import csv
import datetime as dt
import html
import io
import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient

from shared.ledger import Ledger
from tests.support import Database
from tests.web.browsing import rows
from tests.web.conftest import KeyMaker
from tests.web.test_account_pages import CALLS_MAX, counted, owner
from web.pages.usage import PERIODS

__all__ = ["owner"]
CREDIT = 1_000_000
HOSTILE = "<img src=x onerror=alert(1)>'\"&{{7*7}}"
TODAY = dt.datetime.now(dt.UTC).date()


@pytest.fixture(autouse=True)
def events(ledger: Ledger, acme: str) -> None:
    for number, agent in enumerate(("researcher", "researcher", HOSTILE, None)):
        event: dict[str, Any] = {"id": f"e{number}", "action": "chat"}
        ledger.spend_credits(acme, event | ({"agent": agent, "run_id": "r 1&2"} if agent else {}))
    ledger.record_usage(
        [{"id": f"b{n}", "amount": CREDIT, "department_id": HOSTILE, "member_id": "=1+1"} for n in range(3)],
        acme,
    )


def points(page: str, kind: str) -> list[dict[str, Any]]:
    """What the page's chart draws."""
    found = re.search(rf"data-chart=\"{kind}\" data-points='([^']*)'", page)
    assert found is not None
    return list(json.loads(html.unescape(found[1])))


def lines(browser: FlaskClient, url: str) -> list[dict[str, str]]:
    answer = browser.get(url)
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.parametrize(
    "page",
    ["", "?by=action", "/live", "/usage", "/usage?by=run&days=90", "/usage?only=agent&name=x", "/history"],
)
def test_page_asks_the_database_a_few_times_only(
    owner: FlaskClient, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    with counted(monkeypatch) as made:
        shown = owner.get(f"/billing{page}")
    assert shown.status_code == 200
    assert 0 < len(made) <= CALLS_MAX, made


def test_overview_says_what_is_charged_next_and_keeps_the_subscription_apart(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    page = owner.get("/billing").text
    assert "you are charged only when you buy" in page
    assert "No subscription" in page
    ledger.link_customer(acme, "cus_1")
    ledger.set_default_payment_method(acme, "pm_1", {"brand": "visa", "last4": "4242"}, "tests")
    consent = {"threshold": 10 * CREDIT, "credits": 100 * CREDIT, "text_version": "v1"}
    ledger.set_auto_topup(acme, {"enabled": True, **consent}, "tests")
    part = owner.get("/billing/live").text
    assert "when the balance falls to 10 credits, from Visa •••• 4242" in part
    assert "you are charged only when you buy" not in part


def test_overview_shows_a_plan_with_its_renewal_or_its_end(
    owner: FlaskClient, ledger: Ledger, acme: str, database: Database
) -> None:
    ledger.link_customer(acme, "cus_1")
    rows(
        database,
        "insert into billing.subscriptions (id, account_id, plan_id, stripe_customer_id, status, quantity,"
        " cancel_at_period_end, current_period_end, started_at, version)"
        " select 'sub_1', 'acme', id, 'cus_1', 'active', 1, false, '2031-02-03', now(), 1"
        " from billing.subscription_plans order by id limit 1 returning 1",
    )
    page = owner.get("/billing").text
    assert "Renews and is charged" in page
    assert page.count("3 Feb 2031<") == 2
    assert "No subscription" not in page
    rows(database, "update billing.subscriptions set cancel_at_period_end = true returning 1")
    page = owner.get("/billing").text
    assert "Renews and is charged" not in page
    assert "you are charged only when you buy" in page
    assert page.count("3 Feb 2031<") == 1


def test_charts_and_tables_say_the_same(owner: FlaskClient) -> None:
    page = owner.get("/billing?by=agent").text
    days = points(page, "bar")
    assert len(days) == 30
    assert (days[-1]["name"], days[-1]["credits"]) == (f"{TODAY:%-d %b %Y}", "13")
    slices = points(page, "pie")
    assert [(point["name"], point["credits"]) for point in slices] == [
        ("Not named", "5.5"),
        ("researcher", "5"),
        (HOSTILE, "2.5"),
    ]
    for point in slices:
        assert (
            html.escape(point["name"], quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
            in page
        )
    assert "<script>" not in page
    assert "style=" not in page


@pytest.mark.parametrize("page", ["?by=agent", "?by=department", "/live", "/usage?by=department", "/history"])
def test_85_names_that_others_chose_are_text(owner: FlaskClient, page: str) -> None:
    shown = owner.get(f"/billing{page}").text
    assert "<img" not in shown.replace('<img src="/static', "")
    assert "onerror" in shown
    assert "{{7*7}}" in shown
    assert "&amp;49" not in shown


def test_usage_of_one_name_is_by_another(owner: FlaskClient) -> None:
    page = owner.get("/billing/usage", query_string={"only": "agent", "name": "researcher", "by": "run"}).text
    assert '<p class="big">5</p>' in page
    assert "r 1&amp;2" in page
    unnamed = owner.get("/billing/usage", query_string={"only": "agent", "by": "action"}).text
    assert '<p class="big">5.5</p>' in unnamed
    assert "not named" in unnamed
    addresses = re.findall(r'href="(/billing/usage[^"#]*)', page)
    assert len(addresses) > 8
    kept = [html.unescape(address) for address in addresses if re.search("days=(7|90)", address)]
    assert len(kept) == 2
    assert all("only=agent" in address and "name=researcher" in address for address in kept)
    for address in addresses:
        assert owner.get(html.unescape(address)).status_code == 200, address


def test_slices_beyond_the_first_six_are_one_and_all_add_up_to_the_total(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    for number in range(110):
        ledger.spend_credits(
            acme, {"id": f"n{number}", "amount": 1000 * (number + 1), "agent": f"agent {number:03}"}
        )
    total = 13 * CREDIT + sum(1000 * (number + 1) for number in range(110))
    page = owner.get("/billing/usage?by=agent").text
    slices = points(page, "pie")
    assert [point["name"] for point in slices[:3]] == ["Not named", "researcher", HOSTILE]
    assert (len(slices), slices[-1]["name"]) == (7, "All others")
    assert sum(int(float(point["credits"]) * CREDIT + 0.5) for point in slices) == total
    assert all(point["value"] == float(point["credits"]) for point in slices)
    assert "13 more" in page
    for file in ("by=agent", "by=agent&days=7"):
        named = lines(owner, f"/billing/usage.csv?{file}")
        assert len(named) == 113
        assert sum(int(float(row["credits"]) * CREDIT + 0.5) for row in named) == total


def test_usage_of_a_month_and_of_days_that_were_long_ago(owner: FlaskClient) -> None:
    assert f"1 {TODAY:%b %Y} to" in owner.get(f"/billing/usage?month={TODAY:%Y-%m}").text
    old = owner.get("/billing/usage?month=2024-02").text
    assert "1 Feb 2024 to 29 Feb 2024" in old
    assert "Nothing was used in this period" in old
    days = [point["name"] for point in points(old, "bar")]
    assert (days[0], days[-1], len(days)) == ("1 Feb 2024", "29 Feb 2024", 29)
    for period in PERIODS:
        days = [point["name"] for point in points(owner.get(f"/billing/usage?days={period}").text, "bar")]
        first = TODAY - dt.timedelta(days=period - 1)
        assert [days[0], days[-1]] == [f"{day.day} {day:%b %Y}" for day in (first, TODAY)]
        assert len(days) == period


@pytest.mark.parametrize(
    "query",
    [
        "days=31",
        "days=x",
        "month=2026-13",
        "days=7&month=2026-11",
        "by=day",
        "by=x",
        "only=day",
        "only=agent&name=%00",
    ],
)
def test_what_is_no_choice_is_refused(owner: FlaskClient, query: str) -> None:
    for page in ("usage", "usage.csv"):
        assert owner.get(f"/billing/{page}?{query}").status_code == 422


def test_usage_as_csv_has_every_name_and_nothing_that_a_spreadsheet_would_run(owner: FlaskClient) -> None:
    members = lines(owner, "/billing/usage.csv?by=member")
    assert members == [
        {"member": "", "events": "4", "credits": "10"},
        {"member": "'=1+1", "events": "3", "credits": "3"},
    ]
    days = lines(owner, "/billing/usage.csv?days=7&group=day")
    assert [row["credits"] for row in days] == ["0"] * 6 + ["13"]


def test_api_says_what_the_page_says(client: FlaskClient, key: KeyMaker) -> None:
    def ask(**query: object) -> dict[str, Any]:
        address = urlencode({"account_id": "acme"} | query)
        answer = client.get(f"/api/credits/usage/summary?{address}", headers=key())
        return dict(answer.get_json()) | {"status": answer.status_code}

    found = ask(group="agent", **{"from": TODAY, "to": TODAY}, limit=1)
    assert (found["from"], found["to"], found["credits"], found["events"]) == (
        str(TODAY),
        str(TODAY),
        "13",
        7,
    )
    assert found["data"] == [{"name": None, "events": 4, "credits": "5.5"}]
    assert found["rest"] == {"names": 2, "events": 3, "credits": "7.5"}
    assert ask(filter_by="agent", filter="researcher")["credits"] == "5"
    assert ask(filter_by="agent")["credits"] == "5.5"
    for wrong in ({"from": "2026-02-30"}, {"to": "x"}, {"group": "hour"}, {"limit": 0}, {"filter_by": "day"}):
        assert ask(**wrong)["status"] == 422, wrong
    assert ask(**{"from": "2024-01-01", "to": "2026-01-01"})["code"] == "invalid_value"
    assert ask(**{"from": "2026-01-02", "to": "2026-01-01"})["code"] == "invalid_value"
