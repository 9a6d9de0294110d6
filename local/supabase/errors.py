"""Refusals in the form in which Supabase Auth gives them (supabase.com/docs/guides/auth/debugging/error-codes)."""

from __future__ import annotations


class AuthError(Exception):
    """An answer with a status, a stable code and a sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def invalid_credentials() -> AuthError:
    return AuthError(400, "invalid_credentials", "Invalid login credentials")


def refresh_not_found() -> AuthError:
    return AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")


def already_used() -> AuthError:
    return AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")


def flow_not_found() -> AuthError:
    return AuthError(404, "flow_state_not_found", "invalid flow state, no valid flow state found")


def flow_expired() -> AuthError:
    return AuthError(422, "flow_state_expired", "invalid flow state, flow state has expired")


def bad_verifier() -> AuthError:
    return AuthError(400, "bad_code_verifier", "code challenge does not match previously saved code verifier")


def bad_jwt(message: str) -> AuthError:
    return AuthError(403, "bad_jwt", f"invalid JWT: unable to parse or verify signature, {message}")


def session_not_found() -> AuthError:
    return AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist")


def invalid(message: str) -> AuthError:
    return AuthError(400, "validation_failed", message)
