"""The sign-in page: by password, by a link in a mail, by a provider; and the way back to where somebody was."""

from __future__ import annotations

import re
import secrets
import time

from flask import Blueprint, redirect, request, session
from werkzeug.wrappers import Response as BaseResponse

from shared.errors import Refused
from web.pages import errors
from web.pages.forms import csrf
from web.pages.sign_in_page import HOME, own_path, page
from web.services import services

EMAIL_LENGTH_MAX = 320
PASSWORD_LENGTH_MAX = 1000
PENDING, PENDING_MAX, PENDING_SECONDS = "pending", 3, 3600
_WRONG = "That did not sign you in. Look at the address and the password, or take a link by mail."
_STALE = "This sign-in was not begun in this browser, or it took too long. Please try again here."

blueprint = Blueprint("sign_in", __name__, url_prefix="/sign-in")
blueprint.before_request(csrf.protect)
errors.register(blueprint)


@blueprint.get("")
def show() -> BaseResponse:
    """The forms; whoever is signed in goes on."""
    if services().sessions.current() is not None:
        return redirect(own_path(request.args.get("next")), 303)
    return page(own_path(request.args.get("next")))


@blueprint.post("")
def by_password() -> BaseResponse:
    """Signs in with mail address and password."""
    email, password = _email(), request.form.get("password", "")[:PASSWORD_LENGTH_MAX]
    where = own_path(request.form.get("next"))
    services().limiter.check_sign_in(email, request.remote_addr)
    if not email or not password:
        return page(where, 422, complaint="Fill in your mail address and your password.", email=email)
    try:
        grant = services().sign_in.by_password(email, password)
    except Refused as refusal:
        if refusal.code != "invalid_credentials":
            raise
        return page(where, 401, complaint=_WRONG, email=email)
    services().sessions.open(grant)
    return redirect(where, 303)


@blueprint.post("/link")
def send_link() -> BaseResponse:
    """Mails a link, and says the same whether the address is known or not."""
    email, where = _email(), own_path(request.form.get("next"))
    services().limiter.check_sign_in(email, request.remote_addr)
    if not email:
        return page(where, 422, complaint="Fill in your mail address.")
    state = secrets.token_urlsafe(16)
    _remember(state, services().sign_in.send_link(email, _callback(state)), where)
    return page(
        where, told=f"If {email} is known here, a mail with a link is on its way. Open it in this browser."
    )


@blueprint.get("/with/<provider>")
def with_provider(provider: str) -> BaseResponse:
    """On to the provider's page."""
    if provider not in services().settings.oauth_providers:
        raise Refused("There is no such way to sign in.", code="not_found", status=404)
    services().limiter.check_sign_in("", request.remote_addr)
    state = secrets.token_urlsafe(16)
    url, verifier = services().sign_in.oauth_url(provider, _callback(state))
    _remember(state, verifier, own_path(request.args.get("next")))
    return redirect(url, 303)


@blueprint.get("/callback")
def callback() -> BaseResponse:
    """Where links and providers come back to. Only the browser that began it has the state and the verifier."""
    begun = dict(session.get(PENDING, {}))
    pending = begun.pop(request.args.get("state", ""), None)
    if pending is None or time.time() > pending["until"]:
        return page(HOME, 400, complaint=_STALE)
    session[PENDING] = begun
    code = request.args.get("code", "")
    if not code:
        return page(
            pending["next"], 401, complaint="Nobody was signed in: the link is used up, or you turned back."
        )
    try:
        grant = services().sign_in.by_code(code, pending["verifier"])
    except Refused as refusal:
        if refusal.code != "invalid_credentials":
            raise
        return page(pending["next"], 401, complaint=_STALE)
    services().sessions.open(grant)
    return redirect(pending["next"], 303)


def _email() -> str:
    email = request.form.get("email", "").strip()
    return email if len(email) <= EMAIL_LENGTH_MAX and re.fullmatch(r"[^@\s]+@[^@\s]+", email) else ""


def _callback(state: str) -> str:
    return f"{services().settings.base_url}/sign-in/callback?state={state}"


def _remember(state: str, verifier: str, where: str) -> None:
    """What the way back needs, in this browser's cookie: of the sign-ins that were begun, the newest few."""
    begun = sorted(session.get(PENDING, {}).items(), key=lambda item: item[1]["until"])[-PENDING_MAX + 1 :]
    kept = {"verifier": verifier, "next": where, "until": time.time() + PENDING_SECONDS}
    session[PENDING] = {**dict(begun), state: kept}
