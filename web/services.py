"""What a request needs beside itself, made once an app and reachable from every view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from shared.ledger import Ledger
from shared.queue import Queue
from shared.settings import Settings
from shared.stripe_client import StripeGateway
from web.auth import Keyring
from web.limits import RateLimiter
from web.members import Memberships
from web.sessions import Sessions
from web.sign_in import SignIn
from web.tokens import Tokens

EXTENSION = "refill"


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that views work with."""

    settings: Settings
    ledger: Ledger
    queue: Queue
    gateway: StripeGateway
    keyring: Keyring
    tokens: Tokens
    memberships: Memberships
    sign_in: SignIn
    sessions: Sessions
    limiter: RateLimiter


def services() -> Services:
    """The services of the current app."""
    return cast("Services", current_app.extensions[EXTENSION])
