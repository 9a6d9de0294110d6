"""Signing people in at Supabase Auth, through supabase-py.

Every call has a client of its own, with the publishable key and without a stored session: a session of one person never
stays behind for the next, and never lands on the client that acts as the service.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from supabase_auth import SyncMemoryStorage
from supabase_auth.errors import AuthApiError, AuthError, AuthSessionMissingError
from supabase_auth.types import AuthResponse

from shared.errors import Refused
from shared.settings import Settings
from supabase import Client, ClientOptions, create_client
from web.tokens import IdentityUnavailable

TIMEOUT_SECONDS = 8.0
TOO_MANY, UNAUTHORIZED, SERVER_ERROR = 429, 401, 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Grant:
    """What Supabase gives whoever signed in. `seconds`: how long the access token is valid."""

    access_token: str
    refresh_token: str
    seconds: int


class SignIn:
    """One project's Auth. Each call raises IdentityUnavailable when it does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def by_password(self, email: str, password: str) -> Grant:
        """Refused invalid_credentials for a wrong password, an unknown or an unconfirmed address alike."""
        with self._client() as client:
            return _grant(client.auth.sign_in_with_password({"email": email, "password": password}))

    def send_link(self, email: str, back: str) -> str:
        """Mails a sign-in link to a known user; answers the verifier without which its code is worth nothing.

        Who is unknown is answered alike: nobody learns which addresses are known.
        """
        storage = SyncMemoryStorage()
        try:
            with self._client(storage) as client:
                client.auth.sign_in_with_otp(
                    {"email": email, "options": {"email_redirect_to": back, "should_create_user": False}}
                )
        except Refused as refusal:
            log.info("no sign-in link was sent", extra={"reason": refusal.extra.get("reason")})
        return _verifier(storage)

    def oauth_url(self, provider: str, back: str) -> tuple[str, str]:
        """Where the browser goes to sign in at a provider, and the verifier for the code that comes back."""
        storage = SyncMemoryStorage()
        with self._client(storage) as client:
            # The type lists the providers of today; which ones a project has is its own matter.
            url = client.auth.sign_in_with_oauth({"provider": provider, "options": {"redirect_to": back}}).url  # type: ignore[typeddict-item]
        return url, _verifier(storage)

    def by_code(self, code: str, verifier: str) -> Grant:
        """Changes the code of a link or a provider into tokens; Refused invalid_credentials."""
        with self._client() as client:
            return _grant(
                client.auth.exchange_code_for_session(
                    {"auth_code": code, "code_verifier": verifier, "redirect_to": ""}
                )
            )

    def refresh(self, refresh_token: str) -> Grant:
        """New tokens; Refused invalid_credentials when the session has ended at Supabase."""
        try:
            with self._client() as client:
                return _grant(client.auth.refresh_session(refresh_token))
        except Refused as refusal:
            if refusal.status == TOO_MANY:  # nobody's fault: the session goes on
                raise IdentityUnavailable(refusal.detail) from None
            raise

    def sign_out(self, access_token: str) -> None:
        """Ends this session at Supabase, and no other of the person's."""
        with self._client() as client:
            client.auth.admin.sign_out(access_token, "local")

    @contextmanager
    def _client(self, storage: SyncMemoryStorage | None = None) -> Iterator[Client]:
        url, key = self._settings.supabase_url, self._settings.supabase_publishable_key
        if url is None or key is None:
            raise IdentityUnavailable("Supabase is not set up.")
        with httpx.Client(timeout=TIMEOUT_SECONDS) as http, _translated():
            options = ClientOptions(
                auto_refresh_token=False, persist_session=False, flow_type="pkce", httpx_client=http,
                storage=storage or SyncMemoryStorage(),
            )  # fmt: skip
            yield create_client(url, key.get_secret_value(), options)


def _grant(answer: AuthResponse) -> Grant:
    if answer.session is None:
        raise AuthSessionMissingError
    session = answer.session
    return Grant(session.access_token, session.refresh_token, session.expires_in)


def _verifier(storage: SyncMemoryStorage) -> str:
    """What supabase-py kept for the code that is to come: the only thing that it keeps."""
    return next(iter(storage.storage.values()))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AuthApiError as error:
        if error.status == TOO_MANY:
            raise Refused(
                "Too many tries in a short time. Wait a little.", code="rate_limited", status=TOO_MANY
            ) from None
        if error.status >= SERVER_ERROR or error.status == UNAUTHORIZED:
            log.exception("Supabase Auth did not take the request")
            raise IdentityUnavailable("Signing in does not work at the moment.") from None
        raise _invalid(error.code) from None
    except AuthSessionMissingError:
        raise _invalid(None) from None
    except AuthError as error:
        log.warning("Supabase Auth did not answer", extra={"reason": repr(error)})
        raise IdentityUnavailable("Signing in does not work at the moment.") from None


def _invalid(reason: str | None) -> Refused:
    return Refused("That did not sign you in.", code="invalid_credentials", status=401, reason=reason)
