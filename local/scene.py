"""A running Refill seen from outside, and accounts on it: what pictures and tests of whole processes begin with."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from local.api import Api, StripeControl
from local.stack import Stack
from shared import db
from shared.ledger import Ledger
from shared.settings import Settings
from web.api.auto_topup import CONSENT_TEXT_VERSION

SCOPES = "accounts,spend,usage,price,read,admin"
THRESHOLD = 50
TOPUP = 100


class Scene:
    """One stack: its API, its ledger, its database and its local Stripe."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack = stack
        self.settings = Settings.model_validate(stack.settings)
        self.stripe = StripeControl(stack.settings["STRIPE_API_BASE"])
        self.ledger = Ledger(db.connect(self.settings, pool_size=2))
        self.key = stack.flask("api-keys", "create", "--name", name, "--scopes", SCOPES).split()[-1]

    def close(self) -> None:
        """End the connections."""
        self.ledger.database.close()

    @property
    def database_url(self) -> str:
        """The database, for its owner."""
        return self.stack.settings["DATABASE_URL"]

    def query(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """The rows of a statement, in a transaction of its own."""
        with (
            psycopg.connect(self.database_url, autocommit=True, row_factory=dict_row) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []


class Place:
    """One account, as its platform and its owner use it. Balances are credits."""

    def __init__(self, world: Scene, account_id: str) -> None:
        self.world = world
        self.id = account_id
        self.api = Api(world.stack.url, world.key, account_id)
        self._spends = itertools.count(1)

    @property
    def balance(self) -> Decimal:
        """What may be spent."""
        return self.api.available()

    @property
    def customer(self) -> str:
        """Its customer at Stripe, once there is one."""
        return str(self._customer("stripe_customer_id"))

    @property
    def card(self) -> str:
        """The PaymentMethod that is charged."""
        return str(self._customer("default_payment_method"))

    @property
    def topups(self) -> list[dict[str, Any]]:
        """Rows of its automatic charges, oldest first."""
        return self.world.query(
            "select * from billing.topups where account_id = %s order by created_at", self.id
        )

    def checkout(self, package: str = "credits_100") -> dict[str, Any]:
        """A purchase that is not paid yet."""
        answer: dict[str, Any] = self.api.post("/api/billing/checkout-sessions", package_id=package)
        return answer

    @staticmethod
    def session_id(checkout: dict[str, Any]) -> str:
        """The Checkout Session of a purchase, by its address."""
        return str(checkout["url"]).rsplit("/", 1)[-1]

    def pay(self, checkout: dict[str, Any]) -> None:
        """Pay at the local Stripe as the page's form does."""
        self.world.stripe.do(f"checkout/{self.session_id(checkout)}/pay")

    def enable_topup(self, **changes: Any) -> None:
        """Allow charges at 50 credits, up to 100 dollars a day and ten an hour, unless said otherwise."""
        wanted: dict[str, Any] = {
            "enabled": True,
            "threshold": str(THRESHOLD),
            "amount": str(TOPUP),
            "caps": {"day": {"amount": 10000, "currency": "usd"}, "per_hour": 10},
            "consent": {"text_version": CONSENT_TEXT_VERSION},
        }
        self.api.put("/api/billing/auto-topup", **(wanted | changes))

    def spend(self, amount: int | str, spend_id: str | None = None) -> httpx.Response:
        """The answer to a spend, also when it is a refusal."""
        return self.api.try_post(
            "/api/credits/use", id=spend_id or f"spend-{next(self._spends)}", amount=str(amount)
        )

    def _customer(self, column: str) -> Any:
        (row,) = self.world.query("select * from billing.customers where account_id = %s", self.id)
        return row[column]
