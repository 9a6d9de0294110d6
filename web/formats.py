"""How pages write credits, money and times. Numbers stay integers until here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from flask import Flask
from markupsafe import Markup, escape

from shared import credits, money
from web import reasons

MINUS = "\N{MINUS SIGN}"
_CODE = re.compile(r"`([^`]+)`")
KINDS = {
    "usage": "Usage",
    "purchase": "Purchase",
    "topup": "Auto top-up",
    "subscription": "Subscription",
    "signup": "Sign-up credits",
    "promotion": "Promotion",
    "adjustment": "Adjustment",
    "expiry": "Expired",
    "refund": "Refund",
    "dispute": "Dispute",
    "plan_change": "Plan change",
}
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_DAYS_OF_YEAR = 365


def credits_text(micro: int) -> str:
    """Credits with thousands separators: 1234500000 -> "1,234.5"."""
    whole, dot, fraction = credits.to_text(abs(micro)).partition(".")
    return f"{MINUS if micro < 0 else ''}{int(whole):,}{dot}{fraction}"


def signed(micro: int) -> str:
    """Credits with their sign: "+100" or a minus sign and "2.5"."""
    return f"+{credits_text(micro)}" if micro > 0 else credits_text(micro)


def kind(name: str) -> str:
    """A ledger kind in words."""
    return KINDS.get(name, name.replace("_", " ").capitalize())


def cycle(interval: str, word: str, count: int = 1) -> str:
    """A cycle behind "a", "each" or "/": "each month", "every 3 months", "/ 3 months"."""
    if count == 1:
        return f"{word} {interval}"
    return f"{'/' if word == '/' else 'every'} {count} {interval}s"


def instant(text: str) -> str:
    """A time for people: "20 Nov 2026, 20:53 UTC"."""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%-d %b %Y, %H:%M UTC")


def day(moment: str | date) -> str:
    """A day, or that of a time: "20 Nov 2026"."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment).astimezone(UTC)
    return moment.strftime("%-d %b %Y")


def exact(text: str) -> str:
    """A time to compare with logs: "2026-11-20 20:53:25 UTC"."""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(text: str) -> str:
    """How long ago, roughly; a date when it is longer than a week."""
    moment = datetime.fromisoformat(text)
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < _MINUTE:
        return "just now"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min ago"
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f} h ago"
    if seconds < 7 * _DAY:
        return f"{seconds // _DAY:.0f} d ago"
    return day(text)


def runway(days: float | None) -> str | None:
    """How long the credits last at the pace of the last week, in words; None without usage."""
    if days is None:
        return None
    if days * 24 < 1:
        return "less than an hour"
    if days < 1:
        return f"about {days * 24:.0f} h"
    return (
        "more than a year"
        if days > _DAYS_OF_YEAR
        else f"about {days:.0f} day{'s' if round(days) != 1 else ''}"
    )


def standing(balance: Mapping[str, Any]) -> tuple[str, str]:
    """How an account stands, as the look of a badge and a word."""
    if balance["status"] == "paused":
        return "bad", "Paused"
    if balance["status"] == "grace":
        return "warn", "Grace period"
    if not balance["available"]:
        return "bad", "Out of credits"
    return ("warn", "Low") if balance["low"] else ("good", "Active")


def expiring(lots: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The day on which the next credits expire, as `at`, and how many micro-credits that are; None when none ever do."""
    ends = [(day(lot["expires_at"]), lot) for lot in lots if lot["expires_at"] and lot["remaining"]]
    first = min(ends, key=lambda end: end[1]["expires_at"], default=None)
    if first is None:
        return None
    credits = sum(lot["remaining"] for end, lot in ends if end == first[0])
    return {"at": first[1]["expires_at"], "credits": credits}


def provider(name: str) -> str:
    """A provider's name as it writes it itself."""
    return {"github": "GitHub", "gitlab": "GitLab", "linkedin_oidc": "LinkedIn"}.get(name, name.capitalize())


def card(method: dict[str, Any] | None) -> str:
    """A saved payment method as people know it: "Visa •••• 4242"."""
    if not method or not method.get("last4"):
        return ((method or {}).get("brand") or "saved payment method").replace("_", " ")
    return f"{(method['brand'] or 'card').replace('_', ' ').capitalize()} •••• {method['last4']}"


def refusal(error: dict[str, Any] | None) -> str | None:
    """Why Stripe refused a card, as in "Visa •••• 9995: Your card was declined." where Stripe says which; None: no error.

    Beside a button that charges another card, the sentence alone would be read as that one's.
    """
    if not error or not error.get("message"):
        return None
    tried = (error.get("payment_method") or {}).get("card")
    return f"{card(tried)}: {error['message']}" if tried and tried.get("last4") else str(error["message"])


def in_currency(
    packages: Sequence[Mapping[str, Any]], currency: str | None
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Packages in the account's currency, and the others; all and none where it has no currency or none is sold in it."""
    own = [package for package in packages if package["currency"] == currency]
    return (own, [package for package in packages if package not in own]) if own else (list(packages), [])


def unit_price(package: Mapping[str, Any]) -> str:
    """What credits of a package cost: "$5.00 per 100 credits"; of more credits where that were less than a minor unit."""
    many = 100
    while package["amount"] * many * credits.MICRO < package["credits"]:
        many *= 10
    price = (2 * package["amount"] * many * credits.MICRO + package["credits"]) // (2 * package["credits"])
    return f"{money.to_text(price, package['currency'])} per {many:,} credits"


def percent(part: int, whole: int) -> int:
    """A share for a meter, 0 to 100."""
    return min(100, max(0, part * 100 // whole)) if whole else 0


def share(part: int, whole: int) -> str:
    """A share for people: "12.5 %"."""
    return f"{part * 100 / whole:.1f} %" if whole else "0 %"


def prose(text: str) -> Markup:
    """Text of the API's description, with `names` set as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped before


def register(app: Flask) -> None:
    """Makes filters of them."""
    filters: dict[str, Any] = {
        "credits": credits_text,
        "signed": signed,
        "kind": kind,
        "cycle": cycle,
        "instant": instant,
        "day": day,
        "exact": exact,
        "ago": ago,
        "runway": runway,
        "standing": standing,
        "expiring": expiring,
        "reversal": reasons.reversal_in_words,
        "share": share,
        "prose": prose,
        "provider": provider,
        "reason": reasons.in_words,
        "card": card,
        "in_currency": in_currency,
        "unit_price": unit_price,
    }
    app.jinja_env.filters.update(filters)
    app.jinja_env.globals.update(money=money.to_text, percent=percent)
