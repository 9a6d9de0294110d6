"""Signing in by a link, in local and test mode only, for whoever started Refill on a machine."""

from __future__ import annotations

from flask import Blueprint, Flask, redirect, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from shared import keys
from shared.errors import Refused
from shared.settings import Settings
from web.services import services
from web.sessions import LOCAL_MODES

LINK_SECONDS_MAX = 30 * 24 * 3600
MEMBER, OPERATOR = "local-login", "local-operator"

blueprint = Blueprint("local_login", __name__)


def login_url(settings: Settings, account_id: str) -> str:
    """A link that signs its holder in to the account."""
    return f"{settings.base_url}/local/login?token={_serializer(settings).dumps(account_id)}"


def operator_url(settings: Settings, user_id: str) -> str:
    """A link that signs its holder in as an operator, if OPERATORS names this user."""
    return f"{settings.base_url}/local/operator?token={_serializer(settings, OPERATOR).dumps(user_id)}"


def register(app: Flask, settings: Settings) -> None:
    """Adds the route where it may exist."""
    if settings.environment in LOCAL_MODES:
        app.register_blueprint(blueprint)


@blueprint.get("/local/login")
def login() -> Response:
    """Opens a session of the owner of the account that the token names; one without members gets an owner first."""
    account_id = _read(MEMBER)
    ledger = services().ledger
    owners = [member["user_id"] for member in ledger.list_members(account_id) if member["role"] == "owner"]
    if not owners:
        owners = [keys.local_user_id(account_id)]
        ledger.set_member(account_id, owners[0], "owner", "local-login")
    services().sessions.open_local(owners[0], account_id)
    return redirect("/billing", 303)


@blueprint.get("/local/operator")
def operator() -> Response:
    """Opens a session of the operator whom the token names."""
    user_id = _read(OPERATOR)
    if user_id not in services().settings.operators:
        raise Refused("This link is not valid any more.", code="invalid_token", status=403)
    services().sessions.open_local(user_id, None)
    return redirect("/ops", 303)


def _read(salt: str) -> str:
    try:
        content = _serializer(services().settings, salt).loads(
            request.args.get("token", ""), max_age=LINK_SECONDS_MAX
        )
    except BadSignature:
        raise Refused("This link is not valid any more.", code="invalid_token", status=403) from None
    return str(content)


def _serializer(settings: Settings, salt: str = MEMBER) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings.secret_key.get_secret_value(), salt=salt)
