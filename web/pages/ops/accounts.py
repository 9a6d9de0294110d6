"""One account: balance, lots, payments, a hold, movements; extending a lot, adjusting the balance."""

from __future__ import annotations

import datetime as dt
from urllib.parse import quote

from flask import request
from werkzeug.wrappers import Response

from shared import credits, keys
from shared.errors import Refused
from shared.ledger import Ledger
from shared.models import Hold, Payment
from web import adjustments
from web.api.adjustments import Adjustment
from web.api.lots import LotPath
from web.fields import Body, Reason
from web.pages.frame import action, filled_in, told
from web.pages.ops import frame
from web.services import services

PATH = "/ops/accounts"
SHOWN = 20

blueprint = frame.blueprint("accounts")


class Why(Body):
    """Why an operator decides something."""

    reason: Reason


@blueprint.get("/accounts")
def find() -> str:
    """Says what the search finds."""
    return frame.page("ops/accounts.html", "accounts")


@blueprint.get("/accounts/<account_id>")
def show(account_id: str) -> str:
    """What the account has and had. `hold`: one of its holds; `entry`: the ledger from this entry on; `payment`: a closed
    payment, whose credits are to be given.
    """
    ledger, account_id = services().ledger, account_id.replace("\0", "")
    entry = frame.digits(request.args.get("entry", ""))
    return frame.page(
        "ops/account.html",
        "accounts",
        shown=ledger.get_account(account_id),
        balance=ledger.get_balance(account_id),
        request_id=keys.new_id("form"),
        freezes=ledger.list_freezes(account_id),
        bound=services().settings.adjustment_approval_micro_credits,
        hold=_hold(ledger, account_id),
        entry=entry,
        **_prefilled(ledger, account_id),
        **_history(ledger, account_id, entry),
    )


@blueprint.post("/accounts/adjust")
@action(PATH)
def adjust() -> str | Response:
    """Books an adjustment, or keeps a large one for another operator. The form's id makes a double click one."""
    wanted, request_id = filled_in(Adjustment), request.form.get("request_id", "")
    if not request_id.startswith("form_") or wanted.account_id is None:
        raise Refused("The form was not complete. Reload the page and try again.")
    who = frame.operator()
    made = adjustments.adjust(
        services(),
        who.decides,
        _payment_named(wanted.account_id)
        or keys.derived_id("adj", who.user_id, wanted.account_id, request_id),
        wanted.account_id,
        wanted.amount,
        wanted.reason,
    )
    said = "It is booked." if made["state"] == "booked" else "It waits until another operator approves it."
    return told(said, _of(wanted.account_id))


@blueprint.post("/accounts/unfreeze")
@action(PATH)
def unfreeze() -> str | Response:
    """Lifts the freezes that the page showed: another one that came since stays."""
    account_id = request.form.get("account_id", "").replace("\0", "")
    covers = [one.replace("\0", "") for one in request.form.getlist("covers")]
    services().ledger.unfreeze_account(account_id, covers, filled_in(Why).reason, frame.operator().actor)
    return told("The account may spend again. Automatic charges stay paused.", _of(account_id))


@blueprint.post("/accounts/extend-lot")
@action(PATH)
def extend() -> str | Response:
    """Lets a lot expire later: at the end of a day (UTC), or never when no day is given."""
    day = request.form.get("day", "").strip()
    account_id, lot = request.form.get("account_id", "").replace("\0", ""), filled_in(LotPath)
    reason = filled_in(Why).reason
    until = None if not day else (_day(day) + dt.timedelta(days=1)).isoformat()
    number = int(lot.id)
    services().ledger.extend_lot(account_id, number, until, reason, frame.operator().actor)
    return told(
        f"lot_{number} lasts {'for ever' if until is None else f'up to the end of {day} UTC'}.",
        _of(account_id),
    )


def _payment_named(account_id: str) -> str | None:
    """The closed payment whose credits the form gives: the adjustment has its id, so that there is one, whoever makes it."""
    payment_id = request.form.get("payment_id", "").replace("\0", "")
    if payment_id and _closed_payment(services().ledger, account_id, payment_id) is None:
        raise Refused("Close this payment first: until then it may still be granted.")
    return payment_id or None


def _closed_payment(ledger: Ledger, account_id: str, payment_id: str) -> Payment | None:
    payment = ledger.get_payment(payment_id)
    if payment is None or payment["account_id"] != account_id or payment["closed_at"] is None:
        return None
    return payment


def _prefilled(ledger: Ledger, account_id: str) -> dict[str, str | None]:
    payment_id = request.args.get("payment", "").replace("\0", "")
    payment = _closed_payment(ledger, account_id, payment_id) if payment_id else None
    if payment is None:
        return {"payment_id": None, "amount": None, "reason": None}
    return {
        "payment_id": payment_id,
        "amount": credits.to_text(payment["credits"]),
        "reason": f"payment {payment_id}",
    }


def _hold(ledger: Ledger, account_id: str) -> Hold | None:
    hold_id = request.args.get("hold", "").replace("\0", "")
    return ledger.get_hold(account_id, hold_id) if hold_id else None


def _history(ledger: Ledger, account_id: str, entry: int | None) -> dict[str, object]:
    before = None if entry is None else str(entry + 1)
    return {
        "lots": ledger.list_lots(account_id, SHOWN, None)["data"],
        "payments": ledger.list_payments(account_id, SHOWN, None)["data"],
        "movements": ledger.list_transactions(account_id, SHOWN, before)["data"],
        "topups": ledger.list_topups(account_id, None, SHOWN),
    }


def _day(text: str) -> dt.datetime:
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC)
    except ValueError:
        raise Refused("A day is written like 2027-03-01.") from None


def _of(account_id: str) -> str:
    return f"{PATH}/{quote(account_id, safe='')}"
