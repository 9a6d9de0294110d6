"""The page of limits in numbers: what is used, held and left, and running work a page at a time."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from shared.ledger import Ledger
from tests.web.test_account_pages import LIMIT, owner
from web.pages import limits

__all__ = ["owner"]


def test_running_work_is_told_a_page_at_a_time_and_what_is_over_is_not(
    owner: FlaskClient, ledger: Ledger, acme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HOLDS_SHOWN", 2)
    for number in range(5):
        ledger.place_hold(acme, {"id": f"h{number}", "amount": 7_000_000})
    ledger.settle_hold(acme, "h4", {"id": "d", "amount": 2_000_000, "final": False})
    ledger.release_hold(acme, "h3")
    address, told_of = "/billing/limits", []
    while address:
        page = owner.get(address).text
        table = re.findall(
            r'title="(h\d)".*?class="number">([^<]+)<.*?class="number">([^<]+)<', page, re.DOTALL
        )
        told_of += table
        older = re.search(r'href="(/billing/limits\?cursor=[^"]+)"', page)
        address = older[1] if older else ""
    assert told_of == [("h4", "5", "2"), ("h2", "7", "0"), ("h1", "7", "0"), ("h0", "7", "0")]


def test_what_is_left_of_a_limit_counts_what_is_held_once(
    owner: FlaskClient, ledger: Ledger, acme: str
) -> None:
    ledger.set_limit(acme, LIMIT | {"credits": 40_000_000, "hard": True}, "tests")
    ledger.spend_credits(acme, {"id": "s1", "action": "chat", "quantity": 4, "agent": "<b>scout"})
    ledger.place_hold(acme, {"id": "h1", "amount": 20_000_000, "agent": "<b>scout"})
    page = owner.get("/billing/limits").text
    assert '<progress value="75" max="100"' in page
    assert "10 left until" in page
    assert "reached" not in page
    ledger.place_hold(acme, {"id": "h2", "amount": 10_000_000, "agent": "<b>scout"})
    page = owner.get("/billing/limits").text
    assert "Hard, reached" in page
    assert "0 left until" in page
    balance = re.search(r"Held by running work</dt><dd>([^<]+)<", owner.get("/billing").text)
    assert balance is not None
    assert balance[1] == "30"
