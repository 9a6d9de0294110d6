"""What the account paid: payments and invoices in one table, with receipts, refunds, disputes, and what still waits."""

from __future__ import annotations

from flask import request

from web.api.billing import pay_url
from web.pages import frame
from web.pages.visitors import visitor
from web.services import services

SHOWN = 20

blueprint = frame.blueprint("payments")


@blueprint.get("/payments")
def index() -> str:
    """A page of them, the newest first."""
    who = visitor()
    cursor = request.args.get("cursor", "").replace("\0", "") or None
    page = services().ledger.list_charges(who.account_id, SHOWN, cursor)
    payable = who.may("admin")
    rows = [
        row | {"pay_url": pay_url(services().settings, row) if payable else None, "link": _link(row, payable)}
        for row in page["data"]
    ]
    return frame.page(
        "billing/payments.html", "payments", rows=rows, next_cursor=page["next_cursor"], cursor=cursor
    )


def _link(row: dict[str, object], payable: bool) -> str | None:
    """Where an open purchase is continued."""
    is_open = row["kind"] == "purchase" and row["status"] == "open" and not row["overdue"]
    if not (is_open and payable) or row["action_required"]:
        return None
    return str(row["checkout_url"]) if row["checkout_url"] else f"/billing/buy/{row['id']}"
