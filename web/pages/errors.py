"""Errors of pages as pages."""

from __future__ import annotations

import logging

from flask import Blueprint, Flask, Response, g, make_response, render_template, request
from flask_wtf.csrf import CSRFError  # type: ignore[import-untyped]  # it has no types
from werkzeug.exceptions import HTTPException

from shared.errors import RefillError, Refused, Transient
from web import problems, refusals
from web.pages import sign_in_page

UNAUTHORIZED = 401
AWAY_SECONDS = 2
PAGES = ("/billing", "/ops", "/sign-in")
LOGGED = (403, 404)
"""Refusals of who asks for what is not theirs, or for what there is not: the log names them, as that of the API does."""

log = logging.getLogger(__name__)
_TITLES = {
    "role_missing": "Your role does not allow this",
    "no_account": "No account yet",
    "invitation_closed": "This invitation is not open",
    "membership_ended": "Nothing was done",
    "rate_limited": "Too many tries",
}


def register(blueprint: Blueprint) -> None:
    """Every error of the blueprint's views becomes a page."""
    blueprint.register_error_handler(RefillError, ours)
    blueprint.register_error_handler(CSRFError, _stale_form)
    blueprint.register_error_handler(HTTPException, _http)
    blueprint.register_error_handler(Exception, _unexpected)


def register_unrouted(app: Flask) -> None:
    """An address that nobody serves answers with a page where pages are, and with a problem document elsewhere."""

    def answer(error: HTTPException) -> Response:
        return _http(error) if request.path.startswith(PAGES) else problems.answer_http(error)

    for code in (404, 405):
        app.register_error_handler(code, answer)


def _page(
    status: int,
    title: str,
    detail: str,
    code: str = "",
    *,
    again: str | None = None,
    wait: int | None = None,
    user_id: object = None,
) -> Response:
    """`again`: the page to open once more; `wait`: seconds until that makes sense; `user_id`: to tell an owner."""
    shown = render_template("error.html", title=title, detail=detail, code=code, again=again, user_id=user_id)
    response = make_response(shown, status)
    if wait is not None:
        response.headers["Retry-After"] = str(wait)
    return response


def ours(error: RefillError) -> Response:
    """The page of an error of Refill's own, or of a definitive refusal of Stripe."""
    error = refusals.answered(error)
    if isinstance(error, Transient):
        return _page(
            503,
            "Back in a moment",
            "A part of the service is away. Nothing is lost; try again in a moment.",
            again=sign_in_page.here(),
            wait=AWAY_SECONDS,
        )
    if isinstance(error, Refused):
        if error.status == UNAUTHORIZED:
            return sign_in_page.page(sign_in_page.here(), UNAUTHORIZED, complaint=_lost())
        if error.status in LOGGED:
            who = {"actor": g.get("actor"), "account": g.get("account_id"), "path": request.path}
            log.warning("refused: %s", error.code, extra=who)
        wait = error.extra.get("retry_after")
        detail = f"{error.detail} It works again in {wait} seconds." if wait else error.detail
        title = _TITLES.get(error.code, "That did not work")
        return _page(error.status, title, detail, error.code, wait=wait, user_id=error.extra.get("user_id"))
    return _unexpected(error)


def _lost() -> str | None:
    """What becomes of a form that was sent after its session had ended."""
    return "You were signed out. What you sent was not done." if request.method == "POST" else None


def _stale_form(_error: HTTPException) -> Response:
    return _page(
        400,
        "This form is too old",
        "It was open for long, or you have signed in or switched the account in another window since."
        " Nothing was done. Open the page again and fill it in once more.",
        again=sign_in_page.here(),
    )


def _http(error: HTTPException) -> Response:
    if error.code == 404:  # noqa: PLR2004
        return _page(404, "There is no such page", "The address may be old, or have a typing error.")
    return _page(error.code or 500, error.name, error.description or "")


def _unexpected(error: Exception) -> Response:
    log.error("page failed", extra={"path": request.path}, exc_info=error)
    return _page(
        500, "Something went wrong", "The fault is ours, and it was recorded. Nothing was charged twice."
    )
