"""Making one object at Stripe, however often it is asked for: past saved answers and changed parameters, never a second one.

Stripe keeps the first answer of an idempotency key for at least 24 hours, a 5xx or a refusal too, and refuses the key with
other parameters (docs.stripe.com/api/idempotent_requests). So a key alone is no way out of a saved failure, and none past a
release that sends another parameter.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

from shared import keys
from shared.errors import RefillError, StripeUnavailable
from shared.stripe_errors import IDEMPOTENCY_ERROR, StripeRefused
from shared.stripe_facts import StripeData

log = logging.getLogger(__name__)

ATTEMPTS_MAX: Final = 8
SEARCH_MAX: Final = 2_000
"""How many objects of Stripe's lists are looked through for the one that was made without our learning."""


def once(key: str, create: Callable[[str], StripeData], find: Callable[[], StripeData | None]) -> StripeData:
    """What `create` makes under the key of the first attempt that has no saved failure, or what `find` sees that a former
    attempt has made: Stripe is asked by `find` before each further attempt. Concurrent callers walk through the same keys.

    Raises what `create` raises; the saved failure itself when every attempt has one.
    """
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            return create(keys.numbered(key, attempt))
        except RefillError as error:
            if not is_bound(error) or attempt == ATTEMPTS_MAX:
                raise
            log.warning("a key at Stripe is used up", extra={"key": key, "attempt": attempt})
        found = find()
        if found is not None:
            return found
    raise AssertionError("unreachable")


def is_bound(error: RefillError) -> bool:
    """Whether the failure is the key's: a saved answer, or other parameters than it was first used with."""
    if isinstance(error, StripeRefused):
        return error.replayed or error.stripe_code == IDEMPOTENCY_ERROR
    return isinstance(error, StripeUnavailable) and bool(error.extra.get("replayed"))


def first(listed: Iterable[Any], matches: Callable[[StripeData], bool]) -> StripeData | None:
    """The first object of a list of Stripe's that matches, among the newest SEARCH_MAX."""
    for item in itertools.islice(listed, SEARCH_MAX):
        found: StripeData = item.to_dict()
        if matches(found):
            return found
    return None
