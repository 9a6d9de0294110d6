"""Rate limits of the routes that open something at Stripe, and of signing in: per account, per member, per mail address and
per network address, counted in Redis.

The hot routes have none: API keys are not throttled. When Redis is away the limits are off, with a log line,
since refusing purchases would do more harm. This is the engine of flask-limiter without its hooks, which run
on every request.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time

from limits import RateLimitItem, parse
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter
from redis import RedisError

from shared.errors import Refused
from shared.settings import Settings

PER_ACCOUNT = parse("10 per minute")
PER_MEMBER = parse("10 per minute")
PER_ADDRESS = parse("120 per minute")
SIGN_INS_PER_EMAIL = parse("10 per minute")
SIGN_INS_PER_ADDRESS = parse("60 per minute")
MAILS_PER_EMAIL = parse("5 per day")
REDIS_TIMEOUT_SECONDS = 0.5

log = logging.getLogger(__name__)


class RateLimiter:
    """Counts hits of an action."""

    def __init__(self, settings: Settings) -> None:
        storage = storage_from_string(
            settings.redis_url.get_secret_value(),
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
        )
        self._limiter = FixedWindowRateLimiter(storage)

    def check(self, action: str, account_id: str, address: str | None, user_id: str | None = None) -> None:
        """Counts one hit; Refused rate_limited when the account, the address or the member has had too many."""
        self._hit(PER_ACCOUNT, f"{action}:account", account_id)
        if user_id is not None:
            self._hit(PER_MEMBER, f"{action}:member", user_id)
        self._hit(PER_ADDRESS, f"{action}:address", address or "unknown")

    def check_sign_in(self, email: str, address: str | None) -> None:
        """Counts one try to sign in; Refused rate_limited when there were too many for the mail address or from there."""
        if email:
            self._hit(SIGN_INS_PER_EMAIL, "sign_in:email", hashlib.sha256(email.lower().encode()).hexdigest())
        self._hit(SIGN_INS_PER_ADDRESS, "sign_in:address", address or "unknown")

    def check_mail(self, action: str, email: str) -> None:
        """Counts one mail to somebody who did not ask for it; Refused rate_limited when the address has had too many."""
        self._hit(MAILS_PER_EMAIL, f"{action}:email", hashlib.sha256(email.lower().encode()).hexdigest())

    def _hit(self, item: RateLimitItem, *identity: str) -> None:
        try:
            if self._limiter.hit(item, "refill", *identity):
                return
            reset = self._limiter.get_window_stats(item, "refill", *identity).reset_time
        except (RedisError, OSError):
            log.warning("rate limits are off: Redis is away", extra={"action": identity[0]})
            return
        raise Refused(
            "Too many of these in a short time. Wait a little.",
            code="rate_limited",
            status=429,
            retry_after=max(1, math.ceil(reset - time.time())),
        )
