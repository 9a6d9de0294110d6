"""Auto top-up: what the account allows, and how it stands."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from shared import queue
from shared.models import TopupState
from web.api.queries import AccountQuery, account_of
from web.api.topup_models import Charge, ConsentOut, PriceChange
from web.endpoints import Call, Endpoint, respond
from web.fields import (
    Answer,
    Body,
    CreditsIn,
    CreditsOut,
    Currency,
    Mode,
    Money,
    MoneyOut,
    PositiveCreditsIn,
    Text,
)

CONSENT_TEXT_VERSION = "2026-12"
"""The version of the text that the pages show for consent to automatic charges; another text needs another version."""

CONSENT_TEXTS = {
    "2026-11": (
        "I allow the card named above to be charged automatically, without asking me each time, whenever the available"
        " credits fall to the threshold. Each charge is as large as stated above, with fees and taxes, and all charges stay"
        " within the caps. I can switch this off on this page at any time; charges that were made before stay."
    ),
    CONSENT_TEXT_VERSION: (
        "I allow the card named above to be charged automatically, without asking me each time, whenever the available"
        " credits fall to the threshold. Each charge is for the credits stated above, with fees and taxes: it can be larger"
        " than the smallest charge named above, the more so the further the credits have fallen, and all charges stay within"
        " the caps. I can switch this off on this page at any time; charges that were made before stay."
    ),
}
"""Every text that the pages ever showed, the newest last: what was allowed under a former one stays allowed."""

CONSENT_TEXT = CONSENT_TEXTS[CONSENT_TEXT_VERSION]


class Caps(Body):
    """Limits of automatic charges: money a day and a month (UTC), charges an hour."""

    day: Money | None = None
    month: Money | None = None
    per_hour: Annotated[int, Field(ge=1, le=10)] | None = None

    @model_validator(mode="after")
    def _one_currency(self) -> Self:
        if self.day and self.month and self.day.currency != self.month.currency:
            raise ValueError("day and month must be in one currency")
        return self


class Consent(Body):
    """Which text was accepted: that of the pages, or of a front end of yours. Who accepted it is known by the key or the
    session. Settings that were allowed under a former text stay allowed.
    """

    text_version: Annotated[Text, Field(max_length=100, examples=[CONSENT_TEXT_VERSION])]
    charge: Annotated[
        Money | None,
        Field(
            description="The smallest charge that was shown (`total` of `charge`, or of `least_charge` in the preview). When"
            " it is more now, nothing is saved: `consent_required`. Left out: the price of now is agreed to."
        ),
    ] = None


class AutoTopupSettings(Body):
    """Switches auto top-up on, changes it, or switches it off: `{"enabled": false}` is enough for that.

    What is left out keeps its value.
    """

    account_id: Text | None = None
    enabled: bool
    threshold: Annotated[
        CreditsIn | None, Field(description="Top up when the available credits fall to this.")
    ] = None
    mode: Mode | None = None
    amount: Annotated[
        PositiveCreditsIn | None,
        Field(
            description="mode fixed: what one top-up adds; a multiple of it where that would not lift the available credits"
            " above the threshold, as far as the caps allow."
        ),
    ] = None
    target: Annotated[
        PositiveCreditsIn | None, Field(description="mode target: what a top-up fills up to.")
    ] = None
    package_id: Text | None = None
    currency: Annotated[
        Currency | None,
        Field(
            description="What to charge in, when packages are sold in several currencies. Left out: the currency of the"
            " package or of the settings that there are, else the one that the account has paid in."
        ),
    ] = None
    caps: Caps | None = None
    consent: Consent | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.amount is not None and self.target is not None:
            raise ValueError("send amount or target, not both")
        if self.target is not None and self.mode == "fixed":
            raise ValueError("target belongs to mode target")
        return self

    def for_ledger(self) -> dict[str, Any]:
        """The settings in the ledger's names; what was left out stays out."""
        if not self.enabled:
            return {"enabled": False}
        mode = "target" if self.target is not None else self.mode
        size = self.target if self.target is not None else self.amount
        given = {
            "enabled": True,
            "threshold": self.threshold,
            "mode": mode,
            "credits": size,
            "package_id": self.package_id,
            "currency": self.currency,
            "caps": _caps(self.caps) or None,
            "text_version": self.consent.text_version if self.consent else None,
            "charge": self.consent.charge.model_dump() if self.consent and self.consent.charge else None,
        }
        return {name: value for name, value in given.items() if value is not None}


def _caps(caps: Caps | None) -> dict[str, Any]:
    if caps is None:
        return {}
    money = {name: cap for name, cap in (("day", caps.day), ("month", caps.month)) if cap}
    amounts: dict[str, Any] = {name: cap.amount for name, cap in money.items()}
    if money:
        amounts["currency"] = next(iter(money.values())).currency
    if caps.per_hour is not None:
        amounts["per_hour"] = caps.per_hour
    return amounts


class CapsOut(Answer):
    """Limits of automatic charges."""

    day: MoneyOut
    month: MoneyOut
    per_hour: int


class Spent(Answer):
    """What automatic charges took of the caps: minor units, and charges within the last hour."""

    day: int
    month: int
    per_hour: int


class OpenTopup(Answer):
    """The charge that is under way."""

    id: str
    state: TopupState
    credits: CreditsOut
    amount: int
    currency: str
    reason: str | None
    created_at: str


class AutoTopup(Answer):
    """Settings and state of auto top-up."""

    enabled: bool
    threshold: CreditsOut | None
    mode: Literal["fixed", "target"] | None
    amount: CreditsOut | None = None
    target: CreditsOut | None = None
    package_id: str | None
    currency: Annotated[
        str | None,
        Field(
            description="What is charged in; before there are caps, what the account has paid in, else the only one that"
            " packages are sold in. null: packages are sold in several, so `currency` has to be sent."
        ),
    ]
    caps: CapsOut | None
    charge: Annotated[
        Charge | None,
        Field(
            description="The smallest charge, with fees and taxes: of `amount` once, or from the threshold up to `target`."
            " It is a multiple of `amount`, or larger, when the credits have fallen further; where a cap leaves less,"
            " it fills up less far."
        ),
    ]
    spent: Spent | None
    consent: ConsentOut | None
    price_change: Annotated[
        PriceChange | None,
        Field(
            description="Credits cost more than was agreed to: nothing is charged until an owner consents to the price of"
            " now (`PUT` with `consent`). null: they do not."
        ),
    ]
    declines: int
    paused_reason: str | None
    waiting_reason: str | None
    next_attempt_at: str | None
    open_topup: OpenTopup | None

    @model_validator(mode="before")
    @classmethod
    def _from_ledger(cls, row: dict[str, Any]) -> dict[str, Any]:
        caps = row["caps"]
        money = caps and {
            "day": {"amount": caps["day"], "currency": caps["currency"]},
            "month": {"amount": caps["month"], "currency": caps["currency"]},
            "per_hour": caps["per_hour"],
        }
        size = "target" if row["mode"] == "target" else "amount"
        return {**row, "caps": money, size: row["credits"]}


@Endpoint(
    "GET",
    "/api/billing/auto-topup",
    summary="Auto top-up: settings and state",
    tag="auto top-up",
    scope="read",
    member_role="member",
    query=AccountQuery,
    answer=AutoTopup,
    errors=("unknown_account", "account_required"),
)
def get(call: Call) -> Any:
    """What is allowed, what of it is used, when the next attempt is, and why it is paused if it is."""
    return call.services.ledger.get_auto_topup(account_of(call))


@Endpoint(
    "PUT",
    "/api/billing/auto-topup",
    summary="Switch auto top-up on or off, or change it",
    tag="auto top-up",
    scope="admin",
    member_role="owner",
    body=AutoTopupSettings,
    example={
        "account_id": "acme",
        "enabled": True,
        "threshold": "50",
        "mode": "fixed",
        "amount": "250",
        "caps": {
            "day": {"amount": 5000, "currency": "usd"},
            "month": {"amount": 20000, "currency": "usd"},
            "per_hour": 3,
        },
        "consent": {"text_version": CONSENT_TEXT_VERSION},
    },
    answer=AutoTopup,
    errors=(
        "unknown_account",
        "account_required",
        "invalid_auto_topup",
        "consent_required",
        "unknown_package",
    ),
)
def put(call: Call) -> Any:
    """Switching on, and each change, needs `consent`; it names the key. Switching off always works."""
    body: AutoTopupSettings = call.body
    account_id = call.account_id(body.account_id)
    state = call.services.ledger.set_auto_topup(account_id, body.for_ledger(), call.actor)
    if state["topup_due"]:
        call.services.queue.hint(queue.CHECK_THRESHOLD, account_id)
    return respond(call.endpoint, state)
