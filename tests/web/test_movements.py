"""What a movement is told as: kinds, signs, money, links, and never an internal id."""

from __future__ import annotations

from typing import Any

import pytest

from web.pages.movements import Explained, Link, explained

CREDIT = 1_000_000
PAID = {
    "id": "pay_1",
    "amount": 1050,
    "discount": 0,
    "currency": "usd",
    "receipt_url": "https://pay.stripe.com/r",
}
RECEIPT = [Link("https://pay.stripe.com/r", "Receipt")]


def row(kind: str, credits: int = CREDIT, **more: Any) -> dict[str, Any]:
    """A row of list_transactions."""
    return {
        "id": 1, "kind": kind, "credits": credits, "source_kind": "s", "source_id": "internal_1", "draws": [],
        "payment": None, "invoice": None, "usage": None,
    } | more  # fmt: skip


def drew(*kinds: str) -> list[dict[str, Any]]:
    return [{"lot_id": number, "kind": kind, "credits": -CREDIT} for number, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("movement", "said"),
    [
        (row("purchase", payment=PAID), Explained("Bought", "$10.50 paid", RECEIPT)),
        (row("topup", payment=PAID), Explained("Charged by auto top-up", "$10.50 paid", RECEIPT)),
        (row("purchase", payment=PAID | {"receipt_url": None}), Explained("Bought", "$10.50 paid", [])),
        (row("topup"), Explained("Charged by auto top-up", None, [])),
        (
            row("refund", -CREDIT, payment=PAID),
            Explained("Refund", "The money goes back, and so do its credits", RECEIPT),
        ),
        (row("refund"), Explained("Refund", "The refund did not go through: the credits are back", [])),
        (row("dispute", -CREDIT), Explained("Disputed payment", "The bank took the money back for now", [])),
        (row("dispute"), Explained("Disputed payment", "Decided for you: the credits are back", [])),
        (
            row("subscription", invoice={"plan": "Pro", "amount": 2500, "currency": "eur", "hosted_url": "https://i"}),
            Explained("Credits of the plan Pro", "€25.00 invoiced", [Link("https://i", "Invoice")]),
        ),
        (row("subscription"), Explained("Credits of the subscription", None, [])),
        (row("signup"), Explained("Sign-up credits", "A gift, nothing was charged", [])),
        (row("promotion"), Explained("Promotion", "A gift, nothing was charged", [])),
        (row("adjustment"), Explained("Correction", "Credits added by support", [])),
        (row("adjustment", -CREDIT), Explained("Correction", "Credits taken by support", [])),
        (
            row("expiry", -CREDIT, draws=drew("promotion", "signup", "promotion")),
            Explained("Expired promotion and sign-up credits", "They were not used in time", []),
        ),
        (row("expiry", -CREDIT), Explained("Expired credits", "They were not used in time", [])),
        (row("usage", -CREDIT, draws=drew("purchase")), Explained("Usage", "out of bought credits", [])),
        (row("a_new_kind"), Explained("A new kind", None, [])),
    ],
)  # fmt: skip
def test_a_movement_in_words(movement: dict[str, Any], said: Explained) -> None:
    assert explained(movement) == said
    assert "internal_1" not in str(said)


def test_usage_names_who_and_what_and_links_by_encoded_names() -> None:
    used = {
        "events": 1,
        "action": "chat",
        "agent": "a&b=c",
        "department_id": "d",
        "member_id": "m",
        "run_id": "r#1",
    }
    said = explained(row("usage", -CREDIT, usage=used, draws=drew("purchase", "signup")))
    assert said.what == "chat"
    assert said.why == "by a&b=c for m in d, out of bought and sign-up credits"
    assert [link.url for link in said.links] == [
        "/billing/usage?only=run&name=r%231&by=action",
        "/billing/usage?only=agent&name=a%26b%3Dc&by=action",
    ]
    nobody = dict.fromkeys(used) | {"events": 1200}
    assert explained(row("usage", -CREDIT, usage=nobody)) == Explained("1,200 events", None, [])
