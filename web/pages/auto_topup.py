"""Auto top-up: how it stands, changing it in two steps (the form, then what it will do and the consent), and its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from flask import make_response, render_template, request
from werkzeug.wrappers import Response

from shared import credits, currencies, money, queue
from shared.charge_models import ConsentRecord, TopupPreview
from shared.errors import Refused
from shared.models import PaymentMethod
from web import cards
from web.api.auto_topup import CONSENT_TEXT, CONSENT_TEXT_VERSION, CONSENT_TEXTS
from web.fields import Mode
from web.pages import frame, people, topup_words
from web.pages.typed import Typed, some_credits
from web.pages.visitors import Visitor, visitor
from web.services import services

HERE = "/billing/auto-topup"
CONSENTS_SHOWN = 20
DEARER = "The price has changed. Look at it, and tick the box to allow it. Nothing was saved."
WAITS_FOR_BANK = ("dispute_open", "inquiry_open")
NO_CARD = "There is no card to charge. Add a card first."
FIELDS = ("threshold", "mode", "amount", "cap_day", "cap_month", "per_hour", "card", "currency")
_AT_FIELD = {"caps.day": "cap_day", "caps.month": "cap_month", "caps.per_hour": "per_hour"}
_FIRST_THRESHOLD = 50 * credits.MICRO
_FIRST_PER_HOUR = 3

blueprint = frame.blueprint("auto_topup")


@dataclass(frozen=True)
class Facts:
    """What forms are made of and checked against."""

    topup: Mapping[str, Any]
    methods: list[PaymentMethod]
    packages: list[dict[str, Any]]
    asked: str
    """The currency that the form names; of any other than those on sale nothing is known."""

    @property
    def sold(self) -> list[str]:
        """The currencies that packages are sold in, as the packages are ordered."""
        return list(dict.fromkeys(str(package["currency"]) for package in self.packages))

    @property
    def currency(self) -> str | None:
        """What the form names, else the account's own, else the first on sale; None when nothing is."""
        if self.asked in self.sold:
            return self.asked
        return self.topup["currency"] or next(iter(self.sold), None)

    @property
    def caps(self) -> Mapping[str, Any] | None:
        """The caps that there are, if they are in the currency."""
        caps: Mapping[str, Any] | None = self.topup["caps"]
        return caps if caps and caps["currency"] == self.currency else None

    def form(self, fields: Mapping[str, str]) -> Typed:
        """The form with the card that will be charged: nobody consents to one that is not named."""
        default = next((method["id"] for method in self.methods if method["default"]), "")
        named = {"card": fields.get("card") or default, "currency": self.currency or ""}
        return Typed.of({**fields, **named}, FIELDS)

    def card(self, method_id: str) -> PaymentMethod | None:
        return next((method for method in self.methods if method["id"] == method_id), None)


@blueprint.get("/auto-topup")
def show() -> str:
    """State, form, history."""
    who = visitor()
    facts = _facts(who, request.args)
    consents = services().ledger.list_auto_topup_consents(who.account_id, CONSENTS_SHOWN)
    names = people.names(services().ledger.list_members(who.account_id)) if consents else {}
    return _form(facts, facts.form(_current(facts)), consents, names)


@blueprint.get("/auto-topup/live")
def live() -> str:
    """The state, which changes by itself: what is charged, what is left of the caps."""
    who = frame.part_of()
    shown = frame.header(who)
    card = (services().ledger.get_customer(who.account_id) or {}).get("card")
    return render_template(
        "billing/_auto_topup.html", **shown, topup=shown["balance"]["auto_topup"], card=card
    )


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
    facts = _facts(owner, request.form)
    form = facts.form(request.form)
    settings = _settings(facts, form)
    preview = None if form.faults else _preview(owner, settings, form)
    if preview is None:
        return make_response(_form(facts, form), 422)
    if topup_words.dearer(preview, request.form):
        return _review(owner, request.form, complaint=DEARER)
    chosen = facts.card(form.values["card"])
    if chosen is not None and not chosen["default"]:
        services().limiter.check("cards", owner.account_id, request.remote_addr, owner.user_id)
        cards.choose(services(), owner.account_id, chosen["id"], owner.actor)
    shown = topup_words.shown(request.form)
    consented = {"text_version": CONSENT_TEXT_VERSION} | ({"charge": shown} if shown else {})
    try:
        state = services().ledger.set_auto_topup(owner.account_id, settings | consented, owner.actor)
    except Refused as refusal:
        if refusal.code != "consent_required":
            raise
        return _review(owner, request.form, complaint=DEARER)
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
    elif state["paused_reason"] in WAITS_FOR_BANK:
        said += " Nothing is charged until the bank has decided about the payment."
    return frame.told(said, HERE)


def _facts(who: Visitor, fields: Mapping[str, str]) -> Facts:
    ledger = services().ledger
    return Facts(
        ledger.get_auto_topup(who.account_id),
        ledger.list_payment_methods(who.account_id),
        ledger.list_packages(),
        fields.get("currency", ""),
    )


def _form(
    facts: Facts,
    form: Typed,
    consents: list[ConsentRecord] | None = None,
    names: Mapping[str, str] | None = None,
) -> str:
    accepted = {entry["text_version"] for entry in consents or ()}
    return frame.page(
        "billing/auto_topup.html",
        "auto-topup",
        facts=facts,
        form=form,
        consents=consents,
        names=names or {},
        texts={version: text for version, text in CONSENT_TEXTS.items() if version in accepted},
    )


def _review(owner: Visitor, fields: Mapping[str, str], complaint: str | None = None) -> Response:
    facts = _facts(owner, fields)
    form = facts.form(fields)
    settings = _settings(facts, form)
    preview = None if form.faults else _preview(owner, settings, form)
    if preview is None:
        return make_response(_form(facts, form), 422)
    shown = frame.page(
        "billing/auto_topup_review.html",
        "auto-topup",
        values=form.values,
        preview=preview,
        card=facts.card(form.values["card"]),
        text=CONSENT_TEXT,
        version=CONSENT_TEXT_VERSION,
        complaint=complaint,
    )
    return make_response(shown, 422 if complaint else 200)


def _preview(owner: Visitor, settings: dict[str, Any], form: Typed) -> TopupPreview | None:
    """What the settings lead to; None with the rule that the ledger names, in words for people, at its field."""
    try:
        return services().ledger.preview_auto_topup(owner.account_id, settings)
    except Refused as refusal:
        if refusal.code not in ("invalid_auto_topup", "unknown_package"):
            raise
        field = str(refusal.extra.get("field", "amount"))
        form.faults[_AT_FIELD.get(field, field)] = topup_words.in_words(refusal)
        return None


def _settings(facts: Facts, form: Typed) -> dict[str, Any]:
    """The settings in the ledger's names. What is wrong with fields as they were typed stands in the form's faults."""

    def cap(text: str) -> int:
        return money.from_text(text, facts.currency or "")

    settings = {
        "enabled": True,
        "threshold": form.read("threshold", credits.from_text),
        "credits": form.read("amount", some_credits),
        "mode": form.chosen("mode", get_args(Mode)),
        # A package of the caps' currency sets no price in another one.
        "package_id": facts.topup["package_id"] if facts.caps else None,
        "currency": facts.currency,
        "payment_method": form.values["card"] or None,
        "caps": {
            "day": form.read("cap_day", cap),
            "month": form.read("cap_month", cap),
            "per_hour": form.read("per_hour", _per_hour),
            "currency": facts.currency,
        },
    }
    if not facts.methods:
        form.faults["card"] = NO_CARD
    elif not form.values["card"]:
        form.faults["card"] = "Choose the card to charge."
    elif facts.card(form.values["card"]) is None:
        form.faults["card"] = "This card is not saved any more. Choose another one."
    return settings


def _per_hour(text: str) -> int:
    if text not in {str(number) for number in range(1, 11)}:
        raise ValueError("a whole number from 1 to 10")
    return int(text)


def _current(facts: Facts) -> dict[str, str]:
    """What the form begins with: the settings, else modest ones."""
    topup, rules = facts.topup, currencies.currency(facts.currency or "")
    caps = facts.caps or {"day": rules.day_cap, "month": rules.month_cap}
    sizes = [package["credits"] for package in facts.packages if package["currency"] == facts.currency]
    threshold = _FIRST_THRESHOLD if topup["threshold"] is None else topup["threshold"]
    return {
        "threshold": credits.to_text(threshold),
        "mode": topup["mode"] or "fixed",
        "amount": credits.to_text(topup["credits"] or next(iter(sizes), _FIRST_THRESHOLD)),
        "cap_day": money.to_text(caps["day"], rules.code),
        "cap_month": money.to_text(caps["month"], rules.code),
        "per_hour": str((topup["caps"] or {}).get("per_hour", _FIRST_PER_HOUR)),
    }
