"""Who calls: an API key, or a person with an access token of Supabase.

A key is looked up by its SHA-256 and remembered for CACHE_SECONDS in this process, so a revoked key stops
working within that time. Unknown keys are remembered too, apart, so that a flood of them neither reaches the
database twice nor pushes known keys out.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

from shared import keys
from shared.errors import Refused
from shared.models import ApiKey
from web.tokens import Member, Tokens, unauthenticated

CACHE_SECONDS = 5.0
CACHE_ENTRIES_MAX = 10_000

_BEARER = re.compile(r"[Bb]earer +(rk_[0-9a-f]{48})", re.ASCII)
_TOKEN = re.compile(r"[Bb]earer +([\w-]+\.[\w-]+\.[\w-]+)", re.ASCII)

Lookup = Callable[[bytes], ApiKey | None]


class Keyring:
    """Finds API keys, with a short memory."""

    def __init__(self, lookup: Lookup, clock: Callable[[], float] = time.monotonic) -> None:
        self._lookup = lookup
        self._clock = clock
        self._known: dict[bytes, tuple[float, ApiKey]] = {}
        self._unknown: dict[bytes, float] = {}
        self._lock = threading.Lock()

    def authenticate(self, authorization: str | None) -> ApiKey:
        """The live key of an Authorization header; Refused unauthenticated."""
        match = _BEARER.fullmatch(authorization) if authorization else None
        if match is None:
            raise unauthenticated()
        digest = keys.api_key_hash(match[1])
        now = self._clock()
        known = self._known.get(digest)
        if known is not None and now < known[0]:
            return known[1]
        if now < self._unknown.get(digest, 0.0):
            raise unauthenticated()
        key = self._lookup(digest)
        with self._lock:
            self._remember(digest, key, now)
        if key is None:
            raise unauthenticated()
        return key

    def _remember(self, digest: bytes, key: ApiKey | None, now: float) -> None:
        if len(self._known) >= CACHE_ENTRIES_MAX:
            self._known.clear()
        if len(self._unknown) >= CACHE_ENTRIES_MAX:
            self._unknown.clear()
        if key is None:
            self._known.pop(digest, None)
            self._unknown[digest] = now + CACHE_SECONDS
        else:
            self._known[digest] = (now + CACHE_SECONDS, key)


def authenticate(keyring: Keyring, tokens: Tokens, authorization: str | None) -> ApiKey | Member:
    """The caller that an Authorization header names; Refused unauthenticated, or IdentityUnavailable."""
    token = _TOKEN.fullmatch(authorization) if authorization else None
    return keyring.authenticate(authorization) if token is None else tokens.verify(token[1])


def require_scope(key: ApiKey, scope: str) -> None:
    """Refused scope_missing unless the key has the scope."""
    if scope not in key["scopes"]:
        raise Refused(f"This API key lacks the scope {scope}.", code="scope_missing", status=403, scope=scope)
