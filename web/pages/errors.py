"""Errors of pages as pages."""

from __future__ import annotations

import logging

from flask import Blueprint, Response, make_response, render_template, request
from flask_wtf.csrf import CSRFError  # type: ignore[import-untyped]  # it has no types
from werkzeug.exceptions import HTTPException

from shared.errors import RefillError, Refused, Transient

log = logging.getLogger(__name__)


def register(blueprint: Blueprint) -> None:
    """Every error of the blueprint's views becomes a page."""
    blueprint.register_error_handler(RefillError, _ours)
    blueprint.register_error_handler(CSRFError, _stale_form)
    blueprint.register_error_handler(HTTPException, _http)
    blueprint.register_error_handler(Exception, _unexpected)


def _page(status: int, title: str, detail: str) -> Response:
    response = make_response(render_template("error.html", title=title, detail=detail, status=status), status)
    if status == 503:  # noqa: PLR2004
        response.headers["Retry-After"] = "2"
    return response


def _ours(error: RefillError) -> Response:
    if isinstance(error, Transient):
        return _page(
            503, "Back in a moment", "A part of the service is away. Nothing is lost; try again in a moment."
        )
    if isinstance(error, Refused):
        title = "Please sign in" if error.status == 401 else "That did not work"  # noqa: PLR2004
        return _page(error.status, title, error.detail)
    return _unexpected(error)


def _stale_form(_error: HTTPException) -> Response:
    return _page(
        400, "This form is too old", "Go back, reload the page and send it again. Nothing was charged."
    )


def _http(error: HTTPException) -> Response:
    return _page(error.code or 500, error.name, error.description or "")


def _unexpected(error: Exception) -> Response:
    log.error("page failed", extra={"path": request.path}, exc_info=error)
    return _page(
        500, "Something went wrong", "The fault is ours, and it was recorded. Nothing was charged twice."
    )
