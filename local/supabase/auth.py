"""What the local Supabase Auth knows and decides: users, sessions, refresh tokens that rotate, flows with PKCE, mails."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import secrets
import threading
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from werkzeug.security import check_password_hash, generate_password_hash

from local.supabase import errors

REUSE_SECONDS = 10
"""Within this time a refresh token that was just replaced is answered as its replacement: an answer may get lost."""
FLOW_SECONDS = 300
LINK_SECONDS = 3600
_KINDS = ("users", "sessions", "refresh", "flows", "links")


class Auth:
    """One project's users. With a file, everything outlives the process."""

    def __init__(self, issuer: str, state: Path | None = None, *, token_seconds: int = 3600) -> None:
        self.issuer = issuer
        self.token_seconds = token_seconds
        self.mails: list[dict[str, str]] = []
        self._file = state
        self._lock = threading.RLock()
        kept = json.loads(state.read_text()) if state is not None and state.exists() else {}
        self._rows: dict[str, dict[str, Any]] = {kind: kept.get(kind, {}) for kind in _KINDS}
        self._key_id: str = kept.get("key_id") or str(uuid.uuid4())
        pem = kept.get("key")
        loaded = load_pem_private_key(pem.encode(), None) if pem else ec.generate_private_key(ec.SECP256R1())
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        self._key = loaded
        self._save()

    # Users

    def create_user(self, email: str, password: str | None = None) -> dict[str, Any]:
        """A confirmed user."""
        with self._lock:
            if self.find_user(email):
                message = "A user with this email address has already been registered"
                raise errors.AuthError(422, "email_exists", message)
            user: dict[str, Any] = {
                "id": str(uuid.uuid4()),
                "email": email.lower(),
                "password": generate_password_hash(password) if password else None,
                "created_at": _now(),
            }
            self._rows["users"][user["id"]] = user
            self._save()
            return self.shown(user)

    def delete_user(self, user_id: str) -> None:
        """The user and everything that signs the user in."""
        with self._lock:
            self._rows["users"].pop(user_id, None)
            for session_id in [i for i, s in self._rows["sessions"].items() if s["user_id"] == user_id]:
                self._end(session_id)
            self._save()

    def users(self) -> list[dict[str, Any]]:
        """Everybody."""
        return [self.shown(user) for user in self._rows["users"].values()]

    def find_user(self, email: str) -> dict[str, Any] | None:
        """The user with this address."""
        return next((u for u in self._rows["users"].values() if u["email"] == email.lower()), None)

    def shown(self, user: dict[str, Any]) -> dict[str, Any]:
        """The user as the API shows it."""
        return {
            "id": user["id"],
            "aud": "authenticated",
            "role": "authenticated",
            "email": user["email"],
            "email_confirmed_at": user["created_at"],
            "phone": "",
            "confirmed_at": user["created_at"],
            "app_metadata": {"provider": "email", "providers": ["email"]},
            "user_metadata": {"email_verified": True},
            "identities": [],
            "created_at": user["created_at"],
            "updated_at": user["created_at"],
            "is_anonymous": False,
        }

    # Signing in

    def by_password(self, email: str, password: str) -> dict[str, Any]:
        """A session for the right password."""
        user = self.find_user(email)
        if user is None or not user["password"] or not check_password_hash(user["password"], password):
            raise errors.invalid_credentials()
        return self._open(user["id"], "password")

    def by_code(self, code: str, verifier: str) -> dict[str, Any]:
        """A session for the code of a flow, once, to whoever began the flow."""
        if not code or not verifier:
            raise errors.invalid("invalid request: both auth code and code verifier should be non-empty")
        with self._lock:
            flow = self._rows["flows"].get(code)
            if flow is None:
                raise errors.flow_not_found()
            if time.time() > flow["expires_at"]:
                raise errors.flow_expired()
            if not hmac.compare_digest(
                _challenge(verifier, flow["method"]).encode(), str(flow["challenge"]).encode(errors="replace")
            ):
                raise errors.bad_verifier()
            del self._rows["flows"][code]
            return self._open(flow["user_id"], flow["by"])

    def by_refresh_token(self, token: str) -> dict[str, Any]:
        """New tokens for the session; the old refresh token ends, and its later use ends the session."""
        with self._lock:
            row = self._rows["refresh"].get(token)
            if row is None:
                raise errors.refresh_not_found()
            active = next(
                t for t, r in self._rows["refresh"].items()
                if r["session_id"] == row["session_id"] and r["revoked_at"] is None
            )  # fmt: skip
            if row["revoked_at"] is None:
                row["revoked_at"] = time.time()
                active = self._new_refresh_token(row["session_id"], token)
            elif (
                self._rows["refresh"][active]["parent"] != token
                and time.time() > row["revoked_at"] + REUSE_SECONDS
            ):
                self._end(row["session_id"])
                self._save()
                raise errors.already_used()
            self._save()
            return self._tokens(row["session_id"], active)

    def send_link(self, email: str, redirect_to: str, challenge: str | None, method: str) -> None:
        """Mails a link that signs the user in once; the code of six digits beside it does too."""
        with self._lock:
            user = self.find_user(email)
            if user is None:
                raise errors.AuthError(422, "otp_disabled", "Signups not allowed for otp")
            token, digits = secrets.token_hex(28), f"{secrets.randbelow(1_000_000):06}"
            kept = {"user_id": user["id"], "challenge": challenge, "method": method, "digits": digits}
            self._rows["links"][token] = kept | {"expires_at": time.time() + LINK_SECONDS}
            self._save()
            url = (
                f"{self.issuer}/verify?token={token}&type=magiclink&redirect_to={quote(redirect_to, safe='')}"
            )
            self.mails.append({"to": user["email"], "subject": "Your Magic Link", "url": url, "code": digits})

    def take_link(self, token: str) -> dict[str, Any] | None:
        """What a link stands for, once."""
        with self._lock:
            link: dict[str, Any] | None = self._rows["links"].pop(token, None)
            self._save()
            return link if link is not None and time.time() < link["expires_at"] else None

    def by_digits(self, email: str, digits: str) -> dict[str, Any]:
        """A session for the code in the mail."""
        with self._lock:
            user = self.find_user(email)
            for token, link in list(self._rows["links"].items()):
                if (
                    user
                    and link["user_id"] == user["id"]
                    and hmac.compare_digest(link["digits"].encode(), digits.encode(errors="replace"))
                ):
                    self.take_link(token)
                    return self._open(user["id"], "otp")
        raise errors.AuthError(403, "otp_expired", "Token has expired or is invalid")

    def begin_flow(self, user_id: str, challenge: str, method: str, by: str) -> str:
        """A code that whoever knows the verifier may change into a session."""
        with self._lock:
            code = str(uuid.uuid4())
            flow = {"user_id": user_id, "challenge": challenge, "method": method, "by": by}
            self._rows["flows"][code] = flow | {"expires_at": time.time() + FLOW_SECONDS}
            self._save()
            return code

    # Sessions

    def session_of(self, token: str) -> tuple[dict[str, Any], str]:
        """The user and the session of an access token."""
        try:
            claims = jwt.decode(token, self._key.public_key(), algorithms=["ES256"], audience="authenticated")
        except jwt.PyJWTError as error:
            raise errors.bad_jwt(str(error)) from None
        user, session = self._rows["users"].get(claims["sub"]), claims["session_id"]
        if user is None:
            raise errors.AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")
        if session not in self._rows["sessions"]:
            raise errors.session_not_found()
        return user, session

    def sign_out(self, token: str, scope: str) -> None:
        """Ends this session, the user's others, or all of them."""
        with self._lock:
            user, current = self.session_of(token)
            own = [i for i, s in self._rows["sessions"].items() if s["user_id"] == user["id"]]
            ended = {"local": [current], "others": [i for i in own if i != current]}.get(scope, own)
            for session_id in ended:
                self._end(session_id)
            self._save()

    def key_set(self) -> dict[str, Any]:
        """The public key, as /.well-known/jwks.json shows it."""
        row: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {
            "keys": [
                row | {"kid": self._key_id, "alg": "ES256", "use": "sig", "key_ops": ["verify"], "ext": True}
            ]
        }

    def _open(self, user_id: str, by: str) -> dict[str, Any]:
        with self._lock:
            session_id = str(uuid.uuid4())
            self._rows["sessions"][session_id] = {"user_id": user_id, "by": by, "at": int(time.time())}
            refresh = self._new_refresh_token(session_id, None)
            self._save()
            return self._tokens(session_id, refresh)

    def _new_refresh_token(self, session_id: str, parent: str | None) -> str:
        token = secrets.token_hex(6)
        self._rows["refresh"][token] = {"session_id": session_id, "parent": parent, "revoked_at": None}
        return token

    def _tokens(self, session_id: str, refresh: str) -> dict[str, Any]:
        session = self._rows["sessions"][session_id]
        user = self.shown(self._rows["users"][session["user_id"]])
        now = int(time.time())
        claims = {
            name: user[name]
            for name in ("aud", "role", "email", "phone", "app_metadata", "user_metadata", "is_anonymous")
        } | {
            "iss": self.issuer,
            "sub": user["id"],
            "iat": now,
            "exp": now + self.token_seconds,
            "aal": "aal1",
            "amr": [{"method": session["by"], "timestamp": session["at"]}],
            "session_id": session_id,
        }
        return {
            "access_token": jwt.encode(claims, self._key, "ES256", {"kid": self._key_id}),
            "token_type": "bearer",
            "expires_in": self.token_seconds,
            "expires_at": claims["exp"],
            "refresh_token": refresh,
            "user": user,
        }

    def _end(self, session_id: str) -> None:
        self._rows["sessions"].pop(session_id, None)
        for token in [t for t, r in self._rows["refresh"].items() if r["session_id"] == session_id]:
            del self._rows["refresh"][token]

    def _save(self) -> None:
        if self._file is None:
            return
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        draft = self._file.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(self._rows | {"key": pem, "key_id": self._key_id}))
        draft.replace(self._file)


def _challenge(verifier: str, method: str) -> str:
    if method == "plain":
        return verifier
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat()
