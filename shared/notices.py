"""The topics of notices: the one list of what Refill tells, to whom it goes, and what stands in each.

A topic's mail is workers/notices/<topic>.txt; docs/notices.md describes the fields.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from shared import credits

OPERATORS: Final = "operations."
"""Topics for whoever runs Refill, not for the account: they never go to webhooks."""
TEST: Final = "webhook.test"
"""Sent to one endpoint when it is asked for; nobody chooses it."""


@dataclasses.dataclass(frozen=True)
class Topic:
    """What one topic is."""

    description: str
    fields: tuple[str, ...]
    """What of the payload webhooks carry: nothing else leaves, whatever the books note beside it."""
    slack: bool = False
    """Operators see it in Slack too."""
    required: bool = False
    """The account may not switch its mail off."""
    personal: bool = False
    """Mailed to one person and not to the account: no preference switches it off, and no webhook carries it."""


_MONEY = ("payment_id", "credits", "amount", "currency")
_DISPUTE = ("payment_id", "invoice_id", "amount", "currency", "status", "reason")

TOPICS: Final[dict[str, Topic]] = {
    "account.email_refused": Topic(
        "Stripe does not accept the account's mail address; buying works without it.", ()
    ),
    "account.grace": Topic(
        "Automatic charges have stopped; the account may go on for a while.",
        ("reason", "grace_until", "credits"),
        required=True,
    ),
    "account.paused": Topic(
        "Automatic charges have stopped for so long that the account may not spend.",
        ("reason", "grace_until"),
        slack=True,
        required=True,
    ),
    "balance.low": Topic(
        "The balance reached one of the account's levels.", ("available", "level", "auto_topup")
    ),
    "card.expiring": Topic(
        "The card for automatic charges expires soon.",
        ("brand", "last4", "exp_month", "exp_year", "auto_topup"),
    ),
    "dispute.closed": Topic("The bank decided about a disputed payment.", _DISPUTE),
    "dispute.opened": Topic(
        "A payment is disputed; the account may not spend.", _DISPUTE, slack=True, required=True
    ),
    "limit.reached": Topic(
        "A department, member or agent reached its limit.",
        ("scope", "scope_id", "window", "credits", "used", "held", "left", "hard", "resets_at"),
    ),
    "lot.expiring": Topic("Credits expire soon.", ("credits", "expires_at", "lots")),
    "payment.action_required": Topic(
        "The bank wants the card holder to confirm a purchase.", _MONEY, required=True
    ),
    "payment.parked": Topic(
        "A payment differs from what was ordered; somebody looks at it.", ("payment_id", "reason"), slack=True
    ),
    "payment.refunded": Topic("A payment was refunded, and its credits taken back.", ("invoice_id", *_MONEY)),
    "subscription.credits_granted": Topic(
        "A paid cycle of a plan granted its credits.",
        ("credits", "withheld", "plan", "amount", "currency", "period_end", "credits_expire"),
    ),
    "subscription.credits_returned": Topic(
        "A change of plan took unspent credits of the former plan back.",
        ("credits", "plan", "amount", "currency"),
    ),
    "topup.action_required": Topic(
        "The bank wants the card holder to confirm an automatic charge.", _MONEY, required=True
    ),
    "topup.capped": Topic("Automatic top-up reached a limit that the account set.", ("cap", "until")),
    "topup.declined": Topic("The first automatic charge in a row was declined.", _MONEY),
    "topup.paused": Topic(
        "Automatic top-up stopped until somebody acts.",
        ("reason", *_MONEY, "agreed_amount"),
        slack=True,
        required=True,
    ),
    "topup.recovered": Topic(
        "Automatic charges work again, after declines or a pause.", (*_MONEY, "failing_since")
    ),
    "topup.succeeded": Topic(
        "The card was charged automatically and credits were added.",
        (*_MONEY, "receipt_url", "larger", "least_credits", "steps"),
    ),
    "account.email_changed": Topic(
        "The account's mail address was changed: told to the old one.", (), personal=True
    ),
    "member.invited": Topic("Somebody is invited to become a member of the account.", (), personal=True),
    "operations.fraud_warning": Topic("Stripe warns that a payment may be fraud.", (), slack=True),
    "operations.paid_without_credits": Topic("A line of a plan was paid and grants nothing.", (), slack=True),
    "operations.plan_price_mismatch": Topic(
        "A plan's row disagrees with its price at Stripe; it is not sold.", (), slack=True
    ),
    "operations.reconciliation_difference": Topic("Stripe and the books differ.", (), slack=True),
    "operations.stripe_refused": Topic(
        "Stripe refused a call, and only an operator can correct why.", (), slack=True
    ),
    "operations.usage_unpriced": Topic("Usage came that no rate card prices.", (), slack=True),
    "operations.webhook_disabled": Topic("An endpoint of webhooks was switched off.", (), slack=True),
}
ACCOUNT_TOPICS: Final = sorted(
    name for name, topic in TOPICS.items() if not name.startswith(OPERATORS) and not topic.personal
)
"""Topics that concern accounts: those that webhooks carry and that preferences list."""
SLACK_TOPICS: Final = sorted(name for name, topic in TOPICS.items() if topic.slack)


def public_payload(topic: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The fields of a payload that may leave, credits as decimal strings."""
    fields = TOPICS[topic].fields if topic in TOPICS else tuple(payload)
    public: dict[str, Any] = credits.readable({name: payload[name] for name in fields if name in payload})
    return public
