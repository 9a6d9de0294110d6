"""Lots: single grants, and the extension of one by an operator."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from web.api.history import Lot
from web.endpoints import Call, Endpoint
from web.fields import Body, Instant, Reason, Text

_LOT = r"lot_[1-9][0-9]{0,17}"


def lot_number(lot_id: str) -> int:
    """The number of a lot's row, from its id, such as lot_42; ValueError for anything else."""
    if re.fullmatch(_LOT, lot_id, re.ASCII) is None:
        raise ValueError("a lot's id, such as lot_42")
    return int(lot_id.removeprefix("lot_"))


class LotPath(Body):
    """Names a lot."""

    id: Annotated[str, Field(pattern=f"^{_LOT}$", examples=["lot_42"]), AfterValidator(lot_number)]


class LotExtension(Body):
    """A later expiry, decided by an operator."""

    account_id: Text | None = None
    expires_at: Annotated[Instant | None, Field(description="Later than it is; null: never.")]
    reason: Reason
    actor: Annotated[
        Text | None, Field(description="The person who decided it; the key is recorded beside.")
    ] = None


@Endpoint(
    "POST",
    "/api/credits/lots/{id}/extend",
    summary="Let a lot expire later",
    tag="operators",
    scope="admin",
    params=LotPath,
    body=LotExtension,
    example={
        "account_id": "acme",
        "expires_at": "2027-03-01T00:00:00Z",
        "reason": "Goodwill after the outage",
        "actor": "dana",
    },
    answer=Lot,
    errors=("unknown_account", "account_required", "not_found", "state_conflict", "invalid_value"),
)
def extend(call: Call) -> Any:
    """Moves the expiry of a lot that has not expired yet, and records who and why. A repeat changes nothing more.

    What has expired is gone: an adjustment gives it back.
    """
    body: LotExtension = call.body
    actor = f"{body.actor} ({call.actor})" if body.actor else call.actor
    return call.services.ledger.extend_lot(
        call.account_id(body.account_id), call.params.id, body.expires_at, body.reason, actor
    )
