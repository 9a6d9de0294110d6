"""Pages of operators: what waits, what failed, and what a person decides. Every action is in the audit log."""

from __future__ import annotations

from typing import Final

from web.pages.ops import (
    accounts,
    adjustments,
    events,
    notices,
    overview,
    payments,
    reconciliation,
    search,
    usage,
    work,
)

BLUEPRINTS: Final = tuple(
    module.blueprint
    for module in (
        overview,
        search,
        events,
        work,
        payments,
        usage,
        notices,
        accounts,
        adjustments,
        reconciliation,
    )
)
