"""What the sign-in page shows, and where it leads: only ever to a path of this server."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Response, make_response, render_template, request

from web.services import services

HOME = "/billing"
NEXT_LENGTH_MAX = 500
# A path of this server and nothing that a browser could take for another host.
_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*", re.ASCII)
_NOT_A_PLACE = ("/sign-in", "/local/", "/api/")


def own_path(text: str | None) -> str:
    """A path of this server to go on to; anything else is the billing page."""
    if text is None or len(text) > NEXT_LENGTH_MAX or not _OWN_PATH.fullmatch(text):
        return HOME
    return HOME if text.startswith(_NOT_A_PLACE) else text


def here() -> str:
    """Where the request's person is: the page that was asked for, or the page whose form was sent."""
    if request.method == "GET":
        return own_path(request.full_path.rstrip("?"))
    came_from, own = urlsplit(request.referrer or ""), urlsplit(services().settings.base_url)
    return own_path(came_from.path) if came_from.netloc in (own.netloc, request.host) else HOME


def page(where: str, status: int = 200, **more: Any) -> Response:
    """The sign-in page, which leads to `where`."""
    settings = services().settings
    shown = render_template(
        "sign_in.html",
        next=where,
        next_quoted=quote(where, safe=""),
        signs_in=settings.signs_in,
        local=settings.environment == "local",
        providers=settings.oauth_providers if settings.signs_in else (),
        **more,
    )
    return make_response(shown, status)
