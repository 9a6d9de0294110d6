"""The web process: thin views over shared/. `create_app` makes the Flask app."""

from __future__ import annotations

from flask import Flask

from shared import db
from shared import queue as queues
from shared.ledger import Ledger
from shared.queue import Queue
from shared.settings import Settings
from shared.stripe_client import StripeGateway, make_gateway
from web import api, cli, cors, docs, endpoints, health, local_login, pages, problems, security, webhooks
from web.auth import Keyring
from web.limits import RateLimiter
from web.members import Memberships
from web.services import EXTENSION, Services
from web.sessions import Sessions
from web.sign_in import SignIn
from web.startup import settings_or_exit
from web.tokens import Tokens

QUEUE_TIMEOUT_SECONDS = 0.5
__all__ = ["create_app"]

_DECLARED = (api, docs, health, webhooks)  # importing them filled the registry of endpoints


def create_app(
    settings: Settings | None = None,
    *,
    ledger: Ledger | None = None,
    queue: Queue | None = None,
    gateway: StripeGateway | None = None,
) -> Flask:
    """The app.

    Without arguments, everything is made from the environment; nothing is connected to before it is needed.
    """
    settings = settings or settings_or_exit()
    ledger = ledger or Ledger(db.connect(settings))
    tokens, sign_in = Tokens(settings), SignIn(settings)
    app = Flask(__name__)
    app.secret_key = settings.secret_key.get_secret_value()
    app.extensions[EXTENSION] = Services(
        settings=settings,
        ledger=ledger,
        queue=queue or Queue(queues.make_broker(settings, timeout_seconds=QUEUE_TIMEOUT_SECONDS)),
        gateway=gateway or make_gateway(settings),
        keyring=Keyring(ledger.find_api_key),
        tokens=tokens,
        memberships=Memberships(ledger.find_membership),
        sign_in=sign_in,
        sessions=Sessions(settings, ledger, sign_in, tokens),
        limiter=RateLimiter(settings),
    )
    security.register(app, settings)
    cors.register(app, settings)
    problems.register(app)
    endpoints.register(app)
    pages.register(app, settings)
    local_login.register(app, settings)
    cli.register(app)
    return app
