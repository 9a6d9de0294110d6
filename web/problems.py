"""Refusals and failures as RFC 9457 problem documents with a stable `code`."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from shared import credits
from shared.errors import RefillError, Refused, Transient
from web import refusals

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 2
# Facts of refusals that count micro-credits, and are shown as credits.
CREDIT_FACTS = frozenset({"needed", "available", "limit", "used", "debt", "balance", "held"})
_HTTP_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 408: "request_timeout",
               413: "body_too_large", 414: "uri_too_long", 415: "unsupported_media_type"}  # fmt: skip
_HTTP_DETAILS = {
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
}


class InvalidRequest(Refused):
    """The body or query does not have the form that the endpoint states."""

    def __init__(self, errors: list[dict[str, str]]) -> None:
        first = errors[0]
        super().__init__(
            f"{first['field']}: {first['message']}" if first["field"] else first["message"], errors=errors
        )


def invalid_request(error: ValidationError) -> InvalidRequest:
    """Pydantic's complaints with the names of fields; what was sent is not repeated."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[:20]
    return InvalidRequest(
        [
            {"field": ".".join(map(str, item["loc"])), "message": item["msg"].removeprefix("Value error, ")}
            for item in found
        ]
    )


def problem(code: str, status: int, detail: str, **extra: Any) -> Response:
    """A problem document."""
    facts = {
        name: credits.to_text(v) if name in CREDIT_FACTS and type(v) is int else v
        for name, v in extra.items()
    }
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **facts,
    }
    response = Response(json.dumps(document), status=status, mimetype="application/problem+json")
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="refill"'
    if status in (411, 413):
        response.headers["Connection"] = "close"  # the rest of the body is not read
    return response


def answer_error(error: RefillError) -> Response:
    """The problem document of an error of Refill's, and of a definitive refusal of Stripe."""
    error = refusals.answered(error)
    if isinstance(error, (Refused, Transient)):
        response = problem(error.code, error.status, error.detail, **error.extra)
    else:
        log.error("request failed", extra={"path": request.path}, exc_info=error)
        response = problem(
            "internal_error", 500, "Something went wrong on our side. Nothing was charged twice; try again."
        )
    if (
        isinstance(error, Transient)
        or error.status == HTTPStatus.TOO_MANY_REQUESTS
        or "retry_after" in error.extra
    ):
        response.headers["Retry-After"] = str(error.extra.get("retry_after", RETRY_AFTER_SECONDS))
    return response


def answer_http(error: HTTPException) -> Response:
    """What a caller is told of an error of HTTP's own."""
    if error.response is not None or error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error.get_response()  # type: ignore[return-value]  # a redirect
    detail = _HTTP_DETAILS.get(error.code, error.description or HTTPStatus(error.code).phrase)
    response = problem(_HTTP_CODES.get(error.code, "http_error"), error.code, detail)
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def _answer_unexpected(error: Exception) -> Response:
    log.error("request failed", extra={"path": request.path}, exc_info=error)
    return problem(
        "internal_error", 500, "Something went wrong on our side. Nothing was charged twice; try again."
    )


def register(app: Flask) -> None:
    """Every error of the app becomes a problem document."""
    app.register_error_handler(RefillError, answer_error)
    app.register_error_handler(HTTPException, answer_http)
    app.register_error_handler(Exception, _answer_unexpected)
