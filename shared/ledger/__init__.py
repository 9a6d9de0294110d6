"""One typed wrapper per SQL function of schema `billing`, under the same name, and nothing else.

Web and workers change state through these calls only. Each is one transaction. Each may be repeated with the same
arguments when its answer was lost: the second run finds the first one's row and changes nothing more.
Credits are micro-credits, money is minor units of its currency, times are ISO 8601 strings of the database's clock.
Refusals are raised as `errors.Refused` with the codes that the SQL file names; absence of the database as
`errors.DatabaseUnavailable`.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator

from shared import db
from shared.ledger.calls import Page
from shared.ledger.card_calls import CardCalls
from shared.ledger.charge_calls import ChargeCalls
from shared.ledger.credit_calls import CreditCalls
from shared.ledger.hold_calls import HoldCalls
from shared.ledger.member_calls import MemberCalls
from shared.ledger.notice_calls import NoticeCalls
from shared.ledger.operator_calls import OperatorCalls
from shared.ledger.payment_calls import PaymentCalls
from shared.ledger.reconciliation_calls import ReconciliationCalls
from shared.ledger.subscription_calls import SubscriptionCalls
from shared.ledger.usage_calls import UsageCalls
from shared.ledger.work_calls import WorkCalls
from shared.settings import Settings

__all__ = ["Ledger", "Page", "needed_functions", "patient"]


@contextlib.contextmanager
def patient(settings: Settings, limit_ms: int) -> Iterator[Ledger]:
    """A ledger over a connection of its own, for calls that read whole tables and take as long as that does."""
    database = db.connect(settings, pool_size=1, statement_timeout_ms=limit_ms)
    try:
        yield Ledger(database)
    finally:
        database.close()


class Ledger(
    CardCalls,
    ChargeCalls,
    CreditCalls,
    HoldCalls,
    MemberCalls,
    NoticeCalls,
    OperatorCalls,
    PaymentCalls,
    ReconciliationCalls,
    SubscriptionCalls,
    UsageCalls,
    WorkCalls,
):
    """The SQL functions over one database seam."""


def needed_functions() -> list[str]:
    """The SQL functions that this version calls: each wrapper has the name of its function."""
    return sorted(name for name, value in inspect.getmembers(Ledger, callable) if not name.startswith("_"))
