"""Reconciliation: the books and Stripe's own objects, compared page by page, both ways, and mended where that is possible.

Webhooks are only hints; what Stripe keeps is what happened. A run goes through Stripe's lists by a window of creation, a
hundred objects a read. Each page is compared in one ledger call; what differs goes the way its webhook would have gone
(workers/repairs.py), and what no repair can mend becomes a difference with a reason. The run's row keeps step and cursor,
so that a killed run goes on where it stopped, and a page that is done twice changes nothing more.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from typing import Final, cast

from shared import keys, queue, stripe_notes
from shared.errors import StripeUnavailable
from shared.observability import log_context
from shared.reconciliation_models import Reconciliation
from shared.stripe_client import StripeBusy, StripeRefused
from shared.stripe_facts import StripeData
from shared.stripe_lists import Kind, read_page
from workers import repairs
from workers.app import App
from workers.repairs import Repairs

log = logging.getLogger(__name__)

# Then the worker's thread is free for others, and a fresh message goes on.
SLICE_SECONDS = 60.0
OURS: Final = "ours"
OURS_PAGE: Final = 50

Step = Callable[[Repairs, list[StripeData]], None]
# In this order: whose payments they are, what was paid, what was taken back, what is subscribed to, the rest.
STEPS: Final[dict[str, Step]] = {
    "customers": repairs.customers,
    "payments": repairs.payments,
    "refunds": repairs.refunds,
    "disputes": repairs.disputes,
    "subscriptions": repairs.subscriptions,
    "invoices": repairs.invoices,
    "setups": repairs.setups,
    "sessions": repairs.sessions,
    "events": repairs.missed_events,
    # The other way round: what the books have as paid, and Stripe's lists have not shown.
    OURS: repairs.ours,
}


def reconcile(app: App, run_id: str | None = None) -> None:
    """Goes on with a run for a minute, and asks for the next minute. Without an id: the periodic one."""
    if run_id is None:
        run_id = app.ledger.open_reconciliation(keys.new_id("rec"), None, None)["id"]
    run = app.ledger.claim_reconciliation(run_id)
    if run is None or run["state"] != "running":
        return
    with log_context(reconciliation=run_id, kind=run["kind"]):
        try:
            if not _work(app, run):
                app.queue.hint(queue.RECONCILE, run_id)
        except (StripeUnavailable, StripeBusy) as error:
            stripe_notes.report(app.ledger, error)
            log.warning(
                "Stripe is away, reconciliation goes on when its lease is over", extra={"code": error.code}
            )
        except StripeRefused as error:
            stripe_notes.report(app.ledger, error)
            log.exception("reconciliation failed", extra={"code": error.stripe_code})
            app.ledger.finish_reconciliation(run_id, "failed", f"stripe_refused: {error.stripe_code}")


def _work(app: App, run: Reconciliation) -> bool:
    """Page after page until the run or the slice is over; answers whether the run is."""
    end = time.monotonic() + SLICE_SECONDS
    going: Reconciliation | None = run
    while going is not None and going["step"] in STEPS:
        late = time.monotonic() > end
        going = _page(app, going, release=late)
        if late:
            return False
    if going is not None:
        ended = app.ledger.finish_reconciliation(run["id"], "done", None)
        if run["kind"] != "manual":
            app.ledger.finish_job(queue.RECONCILE, ended["counts"])
        log.info("reconciled", extra={**ended["counts"], "open_differences": ended.get("differences")})
    return True


def _page(app: App, run: Reconciliation, *, release: bool) -> Reconciliation | None:
    step, repairing = run["step"], Repairs(app, run)
    if step == OURS:
        items, after = _ours(app, run)
    else:
        since, until = (dt.datetime.fromisoformat(time) for time in (run["since"], run["until"]))
        page = read_page(app.gateway.client, cast("Kind", step), since, until, run["cursor"])
        items, after = page.items, page.after
    STEPS[step](repairing, items)
    counts = {"pages": 1, step: len(items), **repairing.counts}
    log.info("reconciled a page of %s", step, extra=counts)
    return app.ledger.save_reconciliation(
        run["id"], step if after is not None else _next(step), after, counts, release=release
    )


def _ours(app: App, run: Reconciliation) -> tuple[list[StripeData], str | None]:
    rows = app.ledger.unreconciled_payments(run["since"], run["until"], run["cursor"], OURS_PAGE)
    return rows, rows[-1]["id"] if len(rows) == OURS_PAGE else None


def _next(step: str) -> str:
    names = [*STEPS, "end"]
    return names[names.index(step) + 1]
