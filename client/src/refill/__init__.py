"""Meter AI agents with Refill. See client/README.md and docs/meter-your-agent.md."""

from refill._aio_holds import AsyncHold, AsyncRun
from refill._aio_lease import AsyncLease
from refill._core import Open
from refill._flow import Policy
from refill._holds import Hold, Run
from refill._recorder import Recording
from refill._values import Credits, Fields, HoldState, Item, Quote, Spend, Usage
from refill._version import __version__
from refill.aio import AsyncRefill
from refill.client import Refill
from refill.errors import Conflict, Insufficient, RefillError, Refused, SpoolFull, Unavailable
from refill.lease import Lease
from refill.metering import check_credits_available, consume_credits_for_action, metered

__all__ = [
    "AsyncHold", "AsyncLease", "AsyncRefill", "AsyncRun", "Conflict", "Credits", "Fields", "Hold", "HoldState",
    "Insufficient", "Item", "Lease", "Open", "Policy", "Quote", "Recording", "Refill", "RefillError", "Refused",
    "Run", "Spend", "SpoolFull", "Unavailable", "Usage", "__version__", "check_credits_available",
    "consume_credits_for_action", "metered",
]  # fmt: skip
