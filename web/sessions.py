"""Who is signed in on the pages.

The browser's cookie carries a random id and nothing else of the session. Supabase's tokens stay here, encrypted with a
key derived from SECRET_KEY, and are renewed before they end by one request at a time, since a refresh token is good
once. A session that ended at Supabase ends here at its next renewal.
"""

from __future__ import annotations

import base64
import json
import time

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import session as cookie

from shared import keys
from shared.errors import RefillError, Refused, Transient
from shared.ledger import Ledger
from shared.member_models import MemberSession
from shared.settings import Settings
from web.sign_in import Grant, SignIn
from web.tokens import IdentityUnavailable, Tokens

ID = "sid"
CSRF = "csrf_token"
"""Where Flask-WTF keeps what tokens of forms are checked against."""
LOCAL_MODES = ("local", "test")
WAIT_SECONDS = 5.0
POLL_SECONDS = 0.1


class Sessions:
    """Opens, finds, renews and ends the session of the request's browser."""

    def __init__(self, settings: Settings, ledger: Ledger, sign_in: SignIn, tokens: Tokens) -> None:
        self._local = settings.environment in LOCAL_MODES
        self._ledger = ledger
        self._sign_in = sign_in
        self._tokens = tokens
        secret = settings.secret_key.get_secret_value().encode()
        derived = HKDF(SHA256(), 32, salt=None, info=b"refill member sessions").derive(secret)
        self._cipher = Fernet(base64.urlsafe_b64encode(derived))

    def open(self, grant: Grant) -> None:
        """A new session under a new id for whoever the tokens are about; what the browser held before ends."""
        member = self._tokens.verify(grant.access_token)
        self._begin(member.user_id, member.email, None, grant)

    def open_local(self, user_id: str, account_id: str | None) -> None:
        """A session without Supabase, for the sign-in link of the local mode."""
        self._begin(user_id, None, account_id, None)

    def current(self) -> MemberSession | None:
        """The session of the request's browser, with tokens that are valid; None when nobody is signed in."""
        session_id = cookie.get(ID)
        if not isinstance(session_id, str):
            return None
        session_hash = keys.session_hash(session_id)
        deadline = time.monotonic() + WAIT_SECONDS
        while (found := self._ledger.use_session(session_hash)) is not None:
            if found["tokens"] is None:
                return found if self._local else None
            if found["refresh"]:
                return self._renewed(session_hash, found)
            if not found["stale"]:
                return found
            if time.monotonic() > deadline:
                raise IdentityUnavailable("Your session is being renewed.")
            time.sleep(POLL_SECONDS)
        return None

    def begin_in(self, account_id: str) -> None:
        """Brings the first account into view, for a session that has none yet."""
        self._ledger.switch_session(keys.session_hash(cookie[ID]), account_id)

    def switch(self, account_id: str) -> None:
        """Brings another account into view. Forms that other tabs still show are of the one before: they are refused."""
        self.begin_in(account_id)
        cookie.pop(CSRF, None)

    def close(self) -> None:
        """Signs out, here for certain and at Supabase if it answers: a token that it issued ends within the hour."""
        session_id = cookie.get(ID)
        cookie.clear()
        if not isinstance(session_id, str):
            return
        session_hash = keys.session_hash(session_id)
        found = self._ledger.use_session(session_hash)
        self._ledger.close_session(session_hash)
        if found is None or found["tokens"] is None:
            return
        try:
            grant = self._decrypted(found["tokens"])
            if found["stale"]:
                grant = self._sign_in.refresh(grant.refresh_token)
            self._sign_in.sign_out(grant.access_token)
        except (RefillError, InvalidToken):
            return

    def _begin(self, user_id: str, email: str | None, account_id: str | None, grant: Grant | None) -> None:
        before = cookie.get(ID)
        session_id = keys.new_session_id()
        self._ledger.open_session(
            keys.session_hash(session_id),
            user_id,
            email,
            account_id,
            self._encrypted(grant) if grant else None,
            grant.seconds if grant else None,
        )
        cookie.clear()
        cookie[ID] = session_id
        if isinstance(before, str):
            self._ledger.close_session(keys.session_hash(before))

    def _renewed(self, session_hash: bytes, found: MemberSession) -> MemberSession | None:
        """The session with new tokens. While Supabase is away the old ones do until they end."""
        try:
            grant = self._sign_in.refresh(self._decrypted(str(found["tokens"])).refresh_token)
        except (Refused, InvalidToken):
            self._ledger.close_session(session_hash)
            return None
        except Transient:
            if found["stale"]:
                raise
            return found
        self._ledger.renew_session(session_hash, self._encrypted(grant), grant.seconds)
        return found

    def _encrypted(self, grant: Grant) -> bytes:
        content = {"access": grant.access_token, "refresh": grant.refresh_token, "seconds": grant.seconds}
        return self._cipher.encrypt(json.dumps(content).encode())

    def _decrypted(self, tokens: str) -> Grant:
        content = json.loads(self._cipher.decrypt(bytes.fromhex(tokens)))
        return Grant(content["access"], content["refresh"], content["seconds"])
