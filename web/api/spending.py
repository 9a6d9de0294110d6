"""What calls that move or reserve credits have in common: the event for the ledger, and refusals that help."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator

from shared import credits, queue
from shared.errors import RefillError, Refused
from web.api.usage_models import UsageData
from web.endpoints import Call
from web.fields import Text

log = logging.getLogger(__name__)

PAYMENT_REQUIRED = 402
NO_CREDITS = ("insufficient_credits", "limit_reached", "account_paused")
# What whatever has a price may be refused for.
UNPRICED = (
    "unknown_action",
    "unknown_model",
    "unknown_dimension",
    "invalid_value",
    "unknown_account",
    "account_required",
)
# Fields that keep their name. What was left out stays out, so that a repeat has the same fingerprint.
_PASSED = (
    "action",
    "quantity",
    "amount",
    "agent",
    "department_id",
    "member_id",
    "run_id",
    "dimensions",
    "metadata",
    "hold_id",
    "parent_id",
    "expires_in",
)
_LIMITED = frozenset({"department", "member", "agent"})


class Priced(UsageData):
    """Something that is priced by the rate card of its `action`, or by `amount` instead."""

    @model_validator(mode="after")
    def _is_priced(self) -> Self:
        if self.action is None and self.amount is None:
            raise ValueError("name an action, or an amount")
        if self.agent and self.agent_type and self.agent != self.agent_type:
            raise ValueError("agent and agent_type are one field: send one of them")
        return self


NewId = Annotated[
    Text | None, Field(description="Unique in the account. Left out: Idempotency-Key, else a generated one.")
]


def event_of(body: BaseModel) -> dict[str, Any]:
    """The body in the ledger's names; `agent_type` is another name of `agent`."""
    event = {name: value for name in _PASSED if (value := getattr(body, name, None)) is not None}
    if (agent := getattr(body, "agent_type", None)) is not None:
        event["agent"] = agent
    return event


def explained(call: Call, account_id: str, event_id: str, refusal: Refused) -> Refused:
    """The refusal as the caller gets it: for want of credits with what helps. A limit that bound is announced, and a lack of
    credits arms auto top-up. event_id: of the spend or hold that was refused.
    """
    if refusal.status != PAYMENT_REQUIRED:
        return refusal
    _announce(call, account_id, refusal)
    _demand(call, account_id, event_id, refusal)
    return payment_required(refusal, call.services.settings.base_url)


def payment_required(refusal: Refused, base_url: str) -> Refused:
    """The refusal with everything that a caller needs to tell its user, in the same form for each reason."""
    facts = {"binding": "account", "needed": None, "available": None, "topup": None} | refusal.extra
    needed, available = facts["needed"], facts["available"]
    detail = refusal.detail
    if isinstance(needed, int) and isinstance(available, int):
        has = f"This needs {credits.to_text(needed)} credits, {credits.to_text(available)} are available."
        detail = f"{detail} {has}"
    if facts["topup"] == "in_flight":
        detail += " An automatic top-up is under way: try again in a moment."
    return Refused(
        detail, code=refusal.code, status=PAYMENT_REQUIRED, **facts, purchase_url=f"{base_url}/billing#buy"
    )


def _demand(call: Call, account_id: str, event_id: str, refusal: Refused) -> None:
    """Has auto top-up charge for what was refused, where only a spend was missing: the refused one left no trace."""
    if refusal.extra.get("topup") != "armed":
        return
    try:
        if call.services.ledger.demand_topup(account_id, event_id):
            call.services.queue.hint(queue.CHECK_THRESHOLD, account_id)
    except RefillError:  # the next refusal asks again
        log.warning("a refused spend could not arm auto top-up", extra={"account": account_id}, exc_info=True)


def _announce(call: Call, account_id: str, refusal: Refused) -> None:
    """A refused transaction leaves nothing behind, so it cannot tell the account that a limit was reached."""
    bound = refusal.extra
    if bound.get("binding") not in _LIMITED:
        return
    try:
        call.services.ledger.announce_limit(account_id, bound["binding"], bound["scope_id"], bound["window"])
    except RefillError:  # the answer is what matters; the next refusal tells of it
        log.warning(
            "a limit that refused could not be announced", extra={"account": account_id}, exc_info=True
        )
