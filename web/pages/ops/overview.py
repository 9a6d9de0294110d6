"""Counts and ages: what waits, what failed, whether the periodic work runs."""

from __future__ import annotations

from redis import RedisError

from shared.queue import QUEUES
from web.metrics import queue_depths
from web.pages.ops import frame
from web.services import services

blueprint = frame.blueprint("overview")


@blueprint.get("")
def show() -> str:
    """The state of everything that works behind the pages. While Redis is away its part says so."""
    ledger = services().ledger
    try:
        depths = queue_depths(services().queue)
    except RedisError:
        depths = None
    return frame.page(
        "ops/overview.html",
        "overview",
        summary=ledger.operations_summary(),
        jobs=ledger.job_status(),
        depths=depths,
        queues=QUEUES,
    )
