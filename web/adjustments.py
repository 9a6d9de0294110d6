"""Corrections of balances by operators: booked at once, or kept for a second operator when they are large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared import queue
from shared.operator_models import Adjustment
from web.services import Services


@dataclass(frozen=True, slots=True)
class Operator:
    """Who adjusts. `by`: who was authenticated; `actor`: the same for people, for the audit log."""

    by: str
    actor: str


def adjust(
    services: Services, who: Operator, adjustment_id: str, account_id: str, amount: int, reason: str
) -> dict[str, Any]:
    """Books it (state booked), or keeps it (state waiting) above ADJUSTMENT_APPROVAL_CREDITS, which books nothing.

    Answers id, account_id, state, credits, transaction_id and balance (None while it waits). Refused unknown_account,
    idempotency_conflict, invalid_value.
    """
    answer: dict[str, Any] = {"id": adjustment_id, "account_id": account_id, "credits": amount}
    if abs(amount) > services.settings.adjustment_approval_micro_credits:
        kept = services.ledger.request_adjustment(
            adjustment_id, account_id, amount, reason, who.by, who.actor
        )
        return answer | {"state": kept["state"], "transaction_id": None, "balance": None}
    booked = services.ledger.adjust_credits(adjustment_id, account_id, amount, reason, who.actor)
    if booked["topup_due"]:
        services.queue.hint(queue.CHECK_THRESHOLD, account_id)
    return answer | {
        "state": "booked",
        "transaction_id": booked["transaction_id"],
        "balance": booked["balance"],
    }


def decide(
    services: Services,
    who: Operator,
    adjustment_id: str,
    account_id: str | None,
    note: str | None,
    *,
    approve: bool,
) -> Adjustment:
    """Approves a waiting adjustment, which books it, or rejects it. An account_id: only one of that account.

    Refused not_found, state_conflict: for whoever asked for it, or when it was decided otherwise.
    """
    decided = services.ledger.decide_adjustment(
        adjustment_id, account_id, note, who.by, who.actor, approve=approve
    )
    if decided["topup_due"]:
        services.queue.hint(queue.CHECK_THRESHOLD, decided["account_id"])
    return decided
