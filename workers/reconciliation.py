"""Reconciliation: the books and Stripe's own objects, compared page by page, both ways, and mended where that is possible.

Webhooks are only hints; what Stripe keeps is what happened. A run goes through Stripe's lists by a window of creation, a
hundred objects a read, then through all events of the window, which tell of changes of older objects, and then reads again
what is not final by the books. Each page is compared in one ledger call; what differs goes the way its webhook would have
gone (repairs.py, rereading.py), and what no repair can mend becomes a difference with a reason. The run's row keeps step and
cursor, so that a killed run goes on where it stopped, and a page that is done twice changes nothing more; and what it could
not look at, so that nobody takes its end for agreement.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from typing import Final, cast

from shared import keys, queue, stripe_notes
from shared.errors import DatabaseUnavailable, StripeUnavailable
from shared.observability import log_context
from shared.reconciliation_models import Reconciliation
from shared.stripe_client import StripeBusy, StripeRefused
from shared.stripe_errors import StripeForbidden
from shared.stripe_facts import StripeData
from shared.stripe_lists import EVENTS_KEPT, TYPES_MAX, Kind, read_page
from workers import repairs, rereading
from workers.app import App
from workers.events import HANDLERS
from workers.repairing import NO_PERMISSION, Postponed, Repairs

log = logging.getLogger(__name__)

# Then the worker's thread is free for others, and a fresh message goes on.
SLICE_SECONDS = 60.0
OURS: Final = "ours"
EVENTS: Final = "events"
ROWS_PAGE: Final = 50

Step = Callable[[Repairs, list[StripeData]], None]
# In this order: whose payments they are, what was paid, what was taken back, what is subscribed to, the rest.
LISTS: Final[dict[str, Step]] = {
    "customers": repairs.customers,
    "payments": repairs.payments,
    "refunds": repairs.refunds,
    "disputes": repairs.disputes,
    "subscriptions": repairs.subscriptions,
    "lasting": repairs.subscriptions,
    "invoices": repairs.invoices,
    "setups": repairs.setups,
    "sessions": repairs.sessions,
    EVENTS: repairs.missed_events,
}
# The other way round: what is not final by the books, and what they have as paid and Stripe's lists have not shown.
ROWS: Final[dict[str, Step]] = {
    "open_payments": rereading.open_payments,
    "open_reversals": rereading.open_reversals,
    "open_invoices": rereading.open_invoices,
    "open_subscriptions": rereading.open_subscriptions,
    "cards": rereading.customers_cards,
    OURS: repairs.ours,
}
STEPS: Final[dict[str, Step]] = LISTS | ROWS
DEPTHS: Final = ("created", "open", "all")
# The steps that only deeper runs make, and from which depth on.
FROM_DEPTH: Final = {
    "lasting": "open", "open_payments": "open", "open_reversals": "open", "open_invoices": "open",
    "open_subscriptions": "open", "cards": "all",
}  # fmt: skip
# How much further back deeper runs list what changes after it was made: drafts are finalized and retried for weeks, refunds
# fail within 30 days, disputes are decided within three months.
LOOKBACK: Final = {
    "refunds": dt.timedelta(days=40),
    "disputes": dt.timedelta(days=120),
    "invoices": dt.timedelta(days=40),
    "setups": dt.timedelta(days=2),
    "sessions": dt.timedelta(days=2),
}
# Webhooks of the last minutes may be on their way to a service that runs.
WEBHOOK_TIME: Final = dt.timedelta(minutes=5)
_TYPES: Final = sorted(HANDLERS)
TYPES: Final = [_TYPES[at : at + TYPES_MAX] for at in range(0, len(_TYPES), TYPES_MAX)]


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
        except Postponed as error:
            # The claim counts: over an object for which Stripe fails each time the run does not wait for ever.
            log.warning("Stripe failed over an object, the page is done again", exc_info=error.__cause__)
        except (StripeUnavailable, StripeBusy) as error:
            stripe_notes.report(app.ledger, error)
            log.warning("Stripe is away, reconciliation goes on soon", extra={"code": error.code})
            app.ledger.defer_reconciliation(run_id)
        except DatabaseUnavailable:
            app.ledger.defer_reconciliation(run_id)
            raise


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
    step, work = run["step"], Repairs(app, run)
    try:
        items, after = _rows(app, run) if step in ROWS else _listed(app, run)
    except StripeForbidden as error:
        stripe_notes.report(app.ledger, error)
        work.not_compared(NO_PERMISSION)
        items, after = [], None
    except StripeRefused as error:
        # The object at which the last page ended is gone, say.
        stripe_notes.report(app.ledger, error)
        log.exception("Stripe refused a list", extra={"code": error.stripe_code})
        work.not_compared(f"Stripe refused the list: {error.stripe_code}")
        items, after = [], None
    STEPS[step](work, items)
    counts = {"pages": 1, step: len(items), **work.counts}
    log.info("reconciled a page of %s", step, extra=counts)
    following = step if after is not None else _next(step, run["depth"])
    return app.ledger.save_reconciliation(run["id"], following, after, counts, release=release)


def _listed(app: App, run: Reconciliation) -> tuple[list[StripeData], str | None]:
    """A page of a list of Stripe's, and the cursor of the next one."""
    step, client = cast("Kind", run["step"]), app.gateway.client
    since, until = (dt.datetime.fromisoformat(time) for time in (run["since"], run["until"]))
    if step == EVENTS:
        return _events(app, run, since, until)
    if run["depth"] != "created":
        since -= LOOKBACK.get(step, dt.timedelta())
    page = read_page(client, step, since, until, run["cursor"])
    return page.items, page.after


def _events(
    app: App, run: Reconciliation, since: dt.datetime, until: dt.datetime
) -> tuple[list[StripeData], str | None]:
    """Events of every type that Refill acts on, some types at a time. The cursor: which of them, and the last event."""
    if since < dt.datetime.now(dt.UTC) - EVENTS_KEPT:
        Repairs(app, run).not_compared("older than 30 days: Stripe keeps no event for longer")
    if run["kind"] != "manual":
        until = max(since + dt.timedelta(seconds=1), until - WEBHOOK_TIME)
    part, _, cursor = (run["cursor"] or "0:").partition(":")
    number = int(part)
    page = read_page(app.gateway.client, EVENTS, since, until, cursor or None, TYPES[number])
    if page.after is not None:
        return page.items, f"{number}:{page.after}"
    return page.items, f"{number + 1}:" if number + 1 < len(TYPES) else None


def _rows(app: App, run: Reconciliation) -> tuple[list[StripeData], str | None]:
    """A page of the books' own rows, and the cursor of the next one."""
    step, cursor = run["step"], run["cursor"]
    if step == OURS:
        rows = app.ledger.unreconciled_payments(run["since"], run["until"], cursor, ROWS_PAGE)
    else:
        rows = app.ledger.list_unfinished(step, cursor, ROWS_PAGE)
    return rows, rows[-1]["id"] if len(rows) == ROWS_PAGE else None


def _next(step: str, depth: str) -> str:
    names = [name for name in STEPS if DEPTHS.index(FROM_DEPTH.get(name, "created")) <= DEPTHS.index(depth)]
    return [*names, "end"][names.index(step) + 1]
