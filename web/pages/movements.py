"""What a movement of credits was, in words: for people who never saw an internal id."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlencode

from shared import money
from web.formats import kind as kind_in_words


class Link(NamedTuple):
    """Where to read on."""

    url: str
    label: str


class Explained(NamedTuple):
    """A movement in words."""

    what: str
    why: str | None
    links: list[Link]


def explained(row: dict[str, Any]) -> Explained:
    """A row of list_transactions in words."""
    told = _TOLD.get(row["kind"])
    return told(row) if told else Explained(kind_in_words(row["kind"]), None, [])


def _usage(row: dict[str, Any]) -> Explained:
    used = row["usage"]
    if used is None:
        return Explained("Usage", _from_lots(row), [])
    what = used["action"] or "Usage"
    if used["events"] > 1:
        what = f"{used['events']:,} events" + (f" of {used['action']}" if used["action"] else "")
    who = [f"by {used['agent']}"] if used["agent"] else []
    who += [f"for {used['member_id']}"] if used["member_id"] else []
    who += [f"in {used['department_id']}"] if used["department_id"] else []
    why = ", ".join(filter(None, (" ".join(who), _from_lots(row))))
    links = [Link(_usage_url("run", used["run_id"]), "This run")] if used["run_id"] else []
    links += [Link(_usage_url("agent", used["agent"]), "This agent")] if used["agent"] else []
    return Explained(what, why or None, links)


def _paid(row: dict[str, Any]) -> Explained:
    automatic = row["kind"] == "topup"
    what = "Charged by auto top-up" if automatic else "Bought"
    paid = row["payment"]
    if paid is None:
        return Explained(what, None, [])
    receipt = [Link(paid["receipt_url"], "Receipt")] if paid["receipt_url"] else []
    said = f"{money.to_text(paid['amount'], paid['currency'])} paid"
    if paid["discount"]:
        said += f" after a discount of {money.to_text(paid['discount'], paid['currency'])}"
    return Explained(what, said, receipt)


def _subscribed(row: dict[str, Any]) -> Explained:
    invoice = row["invoice"]
    if invoice is None:
        return Explained("Credits of the subscription", None, [])
    paid = f"{money.to_text(invoice['amount'], invoice['currency'])} invoiced"
    links = [Link(invoice["hosted_url"], "Invoice")] if invoice["hosted_url"] else []
    return Explained(f"Credits of the plan {invoice['plan']}", paid, links)


def _changed(row: dict[str, Any]) -> Explained:
    plan = f" of the plan {row['invoice']['plan']}" if row["invoice"] else ""
    links = [Link(url, "Invoice")] if row["invoice"] and (url := row["invoice"]["hosted_url"]) else []
    return Explained(
        f"Unspent credits{plan}", "The plan changed: Stripe credited time that was paid for", links
    )


def _given(row: dict[str, Any]) -> Explained:
    what = {"signup": "Sign-up credits", "promotion": "Promotion"}[row["kind"]]
    return Explained(what, "A gift, nothing was charged", [])


def _adjusted(row: dict[str, Any]) -> Explained:
    came = row["credits"] > 0
    return Explained("Correction", "Credits added by support" if came else "Credits taken by support", [])


def _expired(row: dict[str, Any]) -> Explained:
    return Explained(f"Expired {_lots(row) or 'credits'}", "They were not used in time", [])


def _reversed(row: dict[str, Any]) -> Explained:
    refund, taken = row["kind"] == "refund", row["credits"] < 0
    what = "Refund" if refund else "Disputed payment"
    if taken:
        why = (
            "The money goes back, and so do its credits" if refund else "The bank took the money back for now"
        )
    else:
        why = (
            "The refund did not go through: the credits are back"
            if refund
            else "Decided for you: the credits are back"
        )
    return Explained(what, why, _paid(row).links)


def _lots(row: dict[str, Any]) -> str:
    """The kinds of lots that it drew from, each once: "bought and auto top-up credits"."""
    kinds = dict.fromkeys(draw["kind"] for draw in row["draws"] if draw["credits"] < 0)
    return (
        " and ".join(_LOTS.get(kind, kind_in_words(kind).lower()) for kind in kinds) + " credits"
        if kinds
        else ""
    )


def _from_lots(row: dict[str, Any]) -> str | None:
    lots = _lots(row)
    return f"out of {lots}" if lots else None


def _usage_url(only: str, name: str) -> str:
    return "/billing/usage?" + urlencode({"only": only, "name": name, "by": "action"})


_LOTS = {"purchase": "bought", "signup": "sign-up", "adjustment": "corrected"}
_TOLD = {
    "usage": _usage,
    "purchase": _paid,
    "topup": _paid,
    "subscription": _subscribed,
    "signup": _given,
    "promotion": _given,
    "adjustment": _adjusted,
    "expiry": _expired,
    "refund": _reversed,
    "dispute": _reversed,
    "plan_change": _changed,
}
