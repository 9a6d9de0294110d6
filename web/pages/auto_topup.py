"""Auto top-up: how it stands, changing it in two steps (the form, then what it will do and the consent), and its history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import make_response, request
from werkzeug.wrappers import Response

from shared import credits, money, queue
from shared.charge_models import ConsentRecord, TopupPreview
from shared.errors import Refused
from shared.models import PaymentMethod
from web import cards
from web.api.auto_topup import CONSENT_TEXT_VERSION, CONSENT_TEXTS
from web.pages import frame
from web.pages.visitors import Visitor, visitor
from web.services import services

HERE = "/billing/auto-topup"
CONSENTS_SHOWN = 20
NO_CARD = "There is no card to charge. Add a card first."
FIELDS = ("threshold", "mode", "amount", "cap_day", "cap_month", "per_hour", "card")
_AT_FIELD = {"caps.day": "cap_day", "caps.month": "cap_month", "caps.per_hour": "per_hour"}
_FIRST_THRESHOLD = 50 * credits.MICRO
_FIRST_CAPS = {"day": 10_000, "month": 50_000, "per_hour": 3}

blueprint = frame.blueprint("auto_topup")


@dataclass(frozen=True)
class Facts:
    """What forms are made of and checked against."""

    topup: Mapping[str, Any]
    methods: list[PaymentMethod]
    packages: list[dict[str, Any]]

    @property
    def currency(self) -> str:
        """That of the caps; before there are any, that of the packages."""
        if self.topup["caps"]:
            return str(self.topup["caps"]["currency"])
        return str(self.packages[0]["currency"]) if self.packages else "usd"

    def settled(self, values: dict[str, str]) -> dict[str, str]:
        """The fields with the card that will be charged: nobody consents to one that is not named."""
        default = next((method["id"] for method in self.methods if method["default"]), "")
        return values | {"card": values["card"] or default}

    def card(self, method_id: str) -> PaymentMethod | None:
        return next((method for method in self.methods if method["id"] == method_id), None)


@blueprint.get("/auto-topup")
def show() -> str:
    """State, form, history."""
    who = visitor()
    facts = _facts(who)
    consents = services().ledger.list_auto_topup_consents(who.account_id, CONSENTS_SHOWN)
    return _form(facts, _current(facts), {}, consents)


@blueprint.get("/auto-topup/review")
def review() -> Response:
    """What the settings of the form will do, and the consent to them. Changes nothing."""
    return _review(visitor("owner"), request.args)


@blueprint.post("/auto-topup")
def save() -> Response:
    """Saves what was reviewed and consented to. Without a card nobody consents here; by API one may, before a purchase."""
    owner = visitor("owner")
    consent = request.form.get("consent")
    if consent != CONSENT_TEXT_VERSION:
        asked = "The text has changed. Read it and tick" if consent in CONSENT_TEXTS else "Tick"
        return _review(owner, request.form, complaint=f"{asked} the box to allow this. Nothing was saved.")
    facts = _facts(owner)
    values = facts.settled(_values(request.form))
    settings, faults = _settings(facts, values)
    if not faults:
        faults = _preview(owner, settings)[1]
    if faults:
        return make_response(_form(facts, values, faults), 422)
    chosen = facts.card(values["card"])
    if chosen is not None and not chosen["default"]:
        cards.choose(services(), owner.account_id, chosen["id"], owner.actor)
    state = services().ledger.set_auto_topup(
        owner.account_id, settings | {"text_version": CONSENT_TEXT_VERSION}, owner.actor
    )
    return _done(owner, state, "Auto top-up is on.")


@blueprint.post("/auto-topup/off")
def switch_off() -> Response:
    """One click, and it always works."""
    owner = visitor("owner")
    state = services().ledger.set_auto_topup(owner.account_id, {"enabled": False}, owner.actor)
    charge = state["open_topup"]
    if charge and charge["state"] != "action_required":
        return frame.told("Auto top-up is off. The charge that has begun may still be completed.", HERE)
    return frame.told("Auto top-up is off. Nothing is charged by itself any more.", HERE)


@blueprint.post("/auto-topup/resume")
@frame.action(HERE)
def resume() -> Response:
    """Lifts a pause; without a card there is nothing to resume with."""
    owner = visitor("owner")
    state = services().ledger.resume_auto_topup(owner.account_id, owner.actor)
    if state["paused_reason"] == "no_payment_method":
        raise Refused(NO_CARD, code="state_conflict", status=409)
    return _done(owner, state, "Auto top-up is resumed.")


def _done(owner: Visitor, state: Mapping[str, Any], said: str) -> Response:
    if state["topup_due"]:
        services().queue.hint(queue.CHECK_THRESHOLD, owner.account_id)
        said += " The card is charged now."
    return frame.told(said, HERE)


def _facts(who: Visitor) -> Facts:
    ledger = services().ledger
    topup = ledger.get_auto_topup(who.account_id)
    # Packages say only what a first form begins with.
    packages = ledger.list_packages() if topup["caps"] is None else []
    return Facts(topup, ledger.list_payment_methods(who.account_id), packages)


def _form(
    facts: Facts,
    values: Mapping[str, str],
    faults: Mapping[str, str],
    consents: list[ConsentRecord] | None = None,
) -> str:
    return frame.page(
        "billing/auto_topup.html",
        "auto-topup",
        facts=facts,
        values=values,
        faults=faults,
        consents=consents,
        texts={
            name: CONSENT_TEXTS[name]
            for name in CONSENT_TEXTS
            if name in {e["text_version"] for e in consents or ()}
        },
    )


def _review(owner: Visitor, fields: Mapping[str, str], complaint: str | None = None) -> Response:
    facts = _facts(owner)
    values = facts.settled(_values(fields))
    settings, faults = _settings(facts, values)
    preview = None
    if not faults:
        preview, faults = _preview(owner, settings)
    if preview is None:
        return make_response(_form(facts, values, faults), 422)
    shown = frame.page(
        "billing/auto_topup_review.html",
        "auto-topup",
        values=values,
        preview=preview,
        card=facts.card(values["card"]),
        text=CONSENT_TEXTS[CONSENT_TEXT_VERSION],
        version=CONSENT_TEXT_VERSION,
        complaint=complaint,
    )
    return make_response(shown, 422 if complaint else 200)


def _preview(owner: Visitor, settings: dict[str, Any]) -> tuple[TopupPreview | None, dict[str, str]]:
    """What the settings lead to; else the rule that the ledger names, at its field."""
    try:
        return services().ledger.preview_auto_topup(owner.account_id, settings), {}
    except Refused as refusal:
        if refusal.code not in ("invalid_auto_topup", "unknown_package"):
            raise
        field = str(refusal.extra.get("field", "amount"))
        said = refusal.detail.removeprefix("Auto top-up settings: ")
        return None, {_AT_FIELD.get(field, field): said[:1].upper() + said[1:]}


def _values(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: fields.get(name, "").replace("\0", "").strip()[:100] for name in FIELDS}


def _settings(facts: Facts, values: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings in the ledger's names, and what is wrong with the fields as they were typed."""
    faults: dict[str, str] = {}

    def read(name: str, parse: Callable[[str], int]) -> int | None:
        try:
            return parse(values[name])
        except ValueError as error:
            faults[name] = f"Write {error}."
        return None

    def cap(text: str) -> int:
        return money.from_text(text, facts.currency)

    settings = {
        "enabled": True,
        "threshold": read("threshold", credits.from_text),
        "credits": read("amount", _positive),
        "mode": values["mode"],
        "package_id": facts.topup["package_id"],
        "payment_method": values["card"] or None,
        "caps": {
            "day": read("cap_day", cap),
            "month": read("cap_month", cap),
            "per_hour": read("per_hour", _per_hour),
            "currency": facts.currency,
        },
    }
    if not facts.methods:
        faults["card"] = NO_CARD
    elif not values["card"]:
        faults["card"] = "Choose the card to charge."
    elif facts.card(values["card"]) is None:
        faults["card"] = "This card is not saved any more. Choose another one."
    return settings, faults


def _positive(text: str) -> int:
    if (micro := credits.from_text(text)) == 0:
        raise ValueError("more than zero credits")
    return micro


def _per_hour(text: str) -> int:
    if text not in {str(number) for number in range(1, 11)}:
        raise ValueError("a whole number from 1 to 10")
    return int(text)


def _current(facts: Facts) -> dict[str, str]:
    """What the form begins with: the settings, else modest ones."""
    topup, caps = facts.topup, facts.topup["caps"] or _FIRST_CAPS
    size = topup["credits"] or (facts.packages[0]["credits"] if facts.packages else _FIRST_THRESHOLD)
    threshold = _FIRST_THRESHOLD if topup["threshold"] is None else topup["threshold"]
    values = {
        "threshold": credits.to_text(threshold),
        "mode": topup["mode"] or "fixed",
        "amount": credits.to_text(size),
        "cap_day": money.to_text(caps["day"], facts.currency),
        "cap_month": money.to_text(caps["month"], facts.currency),
        "per_hour": str(caps["per_hour"]),
        "card": "",
    }
    return facts.settled(values)
