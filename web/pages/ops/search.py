"""Search: an id of any kind leads to its page, a part of a name or address to a list."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from flask import redirect, request
from werkzeug.wrappers import Response

from shared.operator_models import Hit
from web.pages.ops import frame
from web.services import services

SHOWN = 50

blueprint = frame.blueprint("search")


@blueprint.get("/search")
def show() -> str | Response:
    """What `q` names, in the account `account_id` if that is given."""
    text, account_id = (request.args.get(name, "").replace("\0", "").strip() for name in ("q", "account_id"))
    found = services().ledger.search_records(text, account_id or None, SHOWN)
    hits = found["hits"]
    if found["by_key"] and len(hits) == 1:
        return redirect(page_of(hits[0]), 303)
    return frame.page(
        "ops/search.html",
        "search",
        sought=text,
        within=account_id,
        hits=[(hit, page_of(hit)) for hit in hits],
        more=found["more"],
        shown=SHOWN,
    )


def page_of(hit: Hit) -> str:
    """Where a hit is shown."""
    if hit["kind"] == "payment":
        return f"/ops/payments/{quote(hit['id'], safe='')}"
    if hit["kind"] == "event":
        return f"/ops/events/{quote(hit['id'], safe='')}"
    account = f"/ops/accounts/{quote(str(hit['account_id']), safe='')}"
    return account if hit["kind"] == "account" else f"{account}?{urlencode({str(hit['kind']): hit['id']})}"
