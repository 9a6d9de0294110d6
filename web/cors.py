"""Calls of the API from front ends on other origins: those of ALLOWED_ORIGINS, and none by default.

A caller is known by its Authorization header alone, so credentials are never allowed: a browser then keeps the answer to a
request with cookies to itself (fetch.spec.whatwg.org#http-cors-protocol).
"""

from __future__ import annotations

from flask import Flask, Response, request

from shared.settings import Settings
from web import webhooks

HEADERS_IN = "Authorization, Content-Type, Idempotency-Key"
HEADERS_OUT = "Retry-After"
PREFLIGHT_SECONDS = 600
"""How long a browser may remember a preflight; an origin that was taken off the list may be asked for that long."""


def register(app: Flask, settings: Settings) -> None:
    """Adds the headers of CORS for origins on the list. Flask itself answers OPTIONS, with the methods of the route."""
    if not settings.allowed_origins:
        return

    @app.after_request
    def _share(response: Response) -> Response:
        if not request.path.startswith("/api/") or request.path in webhooks.PATHS:
            return response
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin not in settings.allowed_origins:
            return response
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
            response.headers["Access-Control-Allow-Headers"] = HEADERS_IN
            response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        elif request.headers.get("Authorization", "").lower().startswith("bearer "):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = HEADERS_OUT
        return response
