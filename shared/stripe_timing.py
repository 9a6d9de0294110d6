"""How long one call of Stripe may last, and what follows from it. The only place that says so."""

from __future__ import annotations

import math
from typing import Final

import stripe

CONNECT_TIMEOUT_SECONDS: Final = 5
READ_TIMEOUT_SECONDS: Final = 25
NETWORK_RETRIES_MAX: Final = 2

# stripe-python sleeps at most INITIAL_DELAY * 2 ** (n - 1) before its nth retry, never more than MAX_DELAY
# (stripe.HTTPClient._sleep_time_seconds).
_SLEEPS_SECONDS = sum(
    min(stripe.HTTPClient.INITIAL_DELAY * 2**retry, stripe.HTTPClient.MAX_DELAY)
    for retry in range(NETWORK_RETRIES_MAX)
)
CALL_SECONDS_MAX: Final[int] = math.ceil(
    (NETWORK_RETRIES_MAX + 1) * (CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS) + _SLEEPS_SECONDS
)
"""The longest that one call of the gateway lasts, its retries included."""

LEASE_SECONDS: Final[int] = CALL_SECONDS_MAX + 5
"""How long a worker keeps a top-up for one call of Stripe. What it records renews it; the sweep skips it meanwhile."""
