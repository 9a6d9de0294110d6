"""Members' access tokens: JWTs that Supabase Auth signs, checked here without asking it.

What counts is pinned: the algorithm by the key, never by the token; the issuer, the audience, the role and the expiry.
A project's anon and service keys are tokens of the same issuer, so `sub` and `role` are looked at too
(supabase.com/docs/guides/auth/jwt-fields).
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import jwt

from shared.errors import Refused, Transient
from shared.settings import Settings

AUDIENCE = ROLE = "authenticated"
CLAIMS = ("exp", "sub", "aud", "iss", "role")
ALGORITHMS = frozenset({"ES256", "RS256"})
FRESH_SECONDS = 600.0
"""How long a key set is taken as it is; a key that the project revoked is known for that long."""
UNKNOWN_SECONDS = 30.0
"""At most this often an unknown key id makes us ask for the key set again."""
FAILED_SECONDS = 5.0
FETCH_SECONDS = 3.0
KEY_SET_BYTES_MAX = 64 * 1024

_USER_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

log = logging.getLogger(__name__)
Fetch = Callable[[], Any]


class IdentityUnavailable(Transient):
    """Supabase Auth did not answer."""

    code = "identity_unavailable"


@dataclass(frozen=True, slots=True)
class Member:
    """A person who is signed in at Supabase."""

    user_id: str
    email: str | None


class KeySet:
    """The project's public keys by their ids, fetched when needed and never more often than stated above."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._ask_after = float("-inf")
        self._failed = False
        self._lock = threading.Lock()

    def get(self, key_id: str) -> jwt.PyJWK | None:
        """The key, or None when the project has no such key; IdentityUnavailable when that cannot be told."""
        known = self._keys.get(key_id)
        now = self._clock()
        if known is not None and now < self._fetched_at + FRESH_SECONDS:
            return known
        if now >= self._ask_after:
            self._refresh(known is not None)
        known = self._keys.get(key_id)
        if known is None and self._failed:
            raise IdentityUnavailable("The keys that members' tokens are signed with cannot be reached.")
        return known

    def _refresh(self, known: bool) -> None:
        """Asks again, one thread at a time. Only who knows no key at all waits for the thread that asks."""
        if not self._lock.acquire(timeout=0 if self._keys else FETCH_SECONDS):
            if not known:
                raise IdentityUnavailable("The keys that members' tokens are signed with are being fetched.")
            return
        try:
            now = self._clock()
            if now < self._ask_after:
                return
            try:
                self._keys = _usable(self._fetch())
            except (httpx.HTTPError, ValueError) as error:
                log.warning(
                    "the key set of Supabase Auth could not be fetched", extra={"reason": repr(error)}
                )
                self._failed, self._ask_after = True, self._clock() + FAILED_SECONDS
            else:
                self._failed, self._fetched_at = False, now
                self._ask_after = now + UNKNOWN_SECONDS
        finally:
            self._lock.release()


class Tokens:
    """Checks access tokens of one Supabase project; without SUPABASE_URL there are none."""

    def __init__(self, settings: Settings, keys: KeySet | None = None) -> None:
        self.issuer = f"{settings.supabase_url}/auth/v1" if settings.supabase_url else None
        secret = settings.supabase_jwt_secret
        self._secret = secret.get_secret_value() if secret else None
        self._keys = keys or KeySet(self._fetch)

    def verify(self, token: str) -> Member:
        """The person whom the token is about. Refused unauthenticated; IdentityUnavailable (503)."""
        if self.issuer is None:
            raise unauthenticated()
        try:
            key, algorithm = self._key(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=AUDIENCE,
                issuer=self.issuer,
                options={
                    "require": list(CLAIMS),
                    "verify_iat": False,
                },  # a clock that is behind refuses nobody
            )
        except (jwt.PyJWTError, RecursionError):  # the latter by a header that is nested absurdly
            raise unauthenticated() from None
        user_id, email = claims["sub"], claims.get("email")
        if claims["role"] != ROLE or not _USER_ID.fullmatch(user_id):
            raise unauthenticated()
        return Member(user_id, email if isinstance(email, str) and email else None)

    def _key(self, header: dict[str, Any]) -> tuple[Any, str]:
        """The key that the header names, and the one algorithm that this key is for."""
        if self._secret is not None and header.get("alg") == "HS256":
            return self._secret, "HS256"
        key_id = header.get("kid")
        if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str):
            raise jwt.InvalidAlgorithmError
        key = self._keys.get(key_id)
        if key is None:
            raise jwt.InvalidKeyError
        return key, key.algorithm_name

    def _fetch(self) -> Any:
        with httpx.stream("GET", f"{self.issuer}/.well-known/jwks.json", timeout=FETCH_SECONDS) as response:
            response.raise_for_status()
            body = b""
            for part in response.iter_bytes():
                body += part
                if len(body) > KEY_SET_BYTES_MAX:
                    raise ValueError("the key set is too large")
        return json.loads(body)


def unauthenticated() -> Refused:
    """No caller, or none that is known."""
    return Refused(
        "Send a valid API key (Authorization: Bearer rk_…), or a member's access token.",
        code="unauthenticated",
        status=401,
    )


def _usable(document: Any) -> dict[str, jwt.PyJWK]:
    """The public keys of the set for the algorithms that count. A secret in a public place is never a key."""
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("this is no key set")  # noqa: TRY004  # it is what came, not what was passed
    found: dict[str, jwt.PyJWK] = {}
    for row in document["keys"]:
        if (
            not isinstance(row, dict)
            or row.get("kty") not in ("EC", "RSA")
            or not isinstance(row.get("kid"), str)
        ):
            continue
        try:
            key = jwt.PyJWK(row)
        except jwt.PyJWTError:
            continue
        if key.algorithm_name in ALGORITHMS:
            found[row["kid"]] = key
    return found
