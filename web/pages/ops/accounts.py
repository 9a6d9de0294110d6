"""One account: balance, lots, payments, movements; extending a lot, adjusting the balance."""

from __future__ import annotations

import datetime as dt
from urllib.parse import quote

from flask import redirect, request
from werkzeug.wrappers import Response

from shared import keys
from shared.errors import Refused
from shared.ledger import Ledger
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
    """What an extension needs beside its day."""

    reason: Reason


@blueprint.get("/accounts")
def find() -> str | Response:
    """Asks for an id, and leads to that account."""
    wanted = request.args.get("id", "").strip()
    return redirect(_of(wanted), 303) if wanted else frame.page("ops/accounts.html", "accounts")


@blueprint.get("/accounts/<account_id>")
def show(account_id: str) -> str:
    """What the account has and had."""
    ledger, account_id = services().ledger, account_id.replace("\0", "")
    return frame.page(
        "ops/account.html",
        "accounts",
        shown=ledger.get_account(account_id),
        balance=ledger.get_balance(account_id),
        request_id=keys.new_id("form"),
        bound=services().settings.adjustment_approval_micro_credits,
        **_history(ledger, account_id),
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
        keys.derived_id("adj", who.user_id, wanted.account_id, request_id),
        wanted.account_id,
        wanted.amount,
        wanted.reason,
    )
    said = "It is booked." if made["state"] == "booked" else "It waits until another operator approves it."
    return told(said, _of(wanted.account_id))


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


def _history(ledger: Ledger, account_id: str) -> dict[str, object]:
    return {
        "lots": ledger.list_lots(account_id, SHOWN, None)["data"],
        "payments": ledger.list_payments(account_id, SHOWN, None)["data"],
        "movements": ledger.list_transactions(account_id, SHOWN, None)["data"],
        "topups": ledger.list_topups(account_id, None, SHOWN),
    }


def _day(text: str) -> dt.datetime:
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC)
    except ValueError:
        raise Refused("A day is written like 2027-03-01.") from None


def _of(account_id: str) -> str:
    return f"{PATH}/{quote(account_id, safe='')}"
