"""What settings of auto top-up would lead to before they are saved, and who allowed which of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from web.api.auto_topup import AutoTopupSettings, CapsOut
from web.api.catalogue import charged
from web.api.queries import AccountQuery, Page, account_of
from web.api.topup_models import AgreedPrice, Charge
from web.endpoints import Call, Endpoint
from web.fields import Answer, Charged, CreditsOut

CONSENTS_SHOWN = 100


class PreviewCharge(Charged):
    """A charge that would be made at once."""

    credits: CreditsOut


class Preview(Answer):
    """What saving would lead to at once: `charge`, or why nothing is charged now."""

    outcome: Literal[
        "charge", "above_threshold", "no_payment_method", "open_topup", "paused", "account_paused", "declined",
        "cap_day", "cap_month", "cap_per_hour", "next_spend", "dispute_open", "inquiry_open",
    ]  # fmt: skip
    until: Annotated[str | None, Field(description="When what stands in the way of a charge ends.")]
    charge: PreviewCharge | None
    least_charge: Annotated[Charge, Field(description="The smallest charge that the settings lead to later.")]


class ConsentEntry(Answer):
    """What was allowed or withdrawn. `credits`: what one top-up adds, or fills up to in mode `target`."""

    actor: str
    enabled: bool
    at: str
    text_version: str | None
    threshold: CreditsOut | None
    mode: Literal["fixed", "target"] | None
    credits: CreditsOut | None
    price: AgreedPrice | None
    caps: CapsOut | None


class ConsentPage(Page):
    """The newest hundred."""

    data: list[ConsentEntry]


@Endpoint(
    "POST",
    "/api/billing/auto-topup/preview",
    summary="What settings of auto top-up would lead to at once",
    tag="auto top-up",
    scope="read",
    member_role="member",
    body=AutoTopupSettings,
    example={"account_id": "acme", "enabled": True, "threshold": "50", "amount": "250"},
    answer=Preview,
    errors=("unknown_account", "account_required", "invalid_auto_topup", "unknown_package"),
)
def preview(call: Call) -> Any:
    """Changes nothing and needs no consent; the balance may have moved by the time that the settings are saved."""
    body: AutoTopupSettings = call.body
    found = call.services.ledger.preview_auto_topup(
        call.account_id(body.account_id), body.model_copy(update={"enabled": True}).for_ledger()
    )
    return {**found, "charge": found["charge"] and charged(found["charge"])}


@Endpoint(
    "GET",
    "/api/billing/auto-topup/consents",
    summary="Who allowed automatic charges, newest first",
    tag="auto top-up",
    scope="read",
    member_role="member",
    query=AccountQuery,
    answer=ConsentPage,
    errors=("unknown_account", "account_required"),
)
def consents(call: Call) -> Any:
    """Each change of auto top-up: who, when, what was set, and under which text."""
    rows = call.services.ledger.list_auto_topup_consents(account_of(call), CONSENTS_SHOWN)
    return {"data": [{**row, "caps": _caps(row["caps"])} for row in rows], "next_cursor": None}


def _caps(caps: dict[str, Any] | None) -> dict[str, Any] | None:
    if caps is None:
        return None
    money = {name: {"amount": caps[name], "currency": caps["currency"]} for name in ("day", "month")}
    return {**money, "per_hour": caps["per_hour"]}
