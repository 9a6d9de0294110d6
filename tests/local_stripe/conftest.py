"""A local Stripe on a free port, a client of the real SDK, and a webhook endpoint that remembers."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from local.stripe.app import LocalStripe

SECRET = "whsec_test"


def wait_until(condition: Callable[[], Any], timeout: float = 5.0) -> Any:
    """The first true value of the condition; fails when it does not come in time."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError("the condition did not become true in time")


class Endpoint:
    """A webhook receiver: keeps what it got and verified, answers the statuses it was given, then 200."""

    def __init__(self) -> None:
        self.secret = SECRET
        self.events: list[dict[str, Any]] = []
        self.raw: list[tuple[bytes, str]] = []
        self.rejected = 0
        self.statuses: list[int] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(endpoint.receive(body, self.headers["Stripe-Signature"]))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def receive(self, body: bytes, signature: str) -> int:
        try:
            stripe.WebhookSignature.verify_header(body.decode(), signature, self.secret, 300)
        except stripe.SignatureVerificationError:
            self.rejected += 1
            return 400
        self.raw.append((body, signature))
        self.events.append(json.loads(body))
        return self.statuses.pop(0) if self.statuses else 200

    def types(self) -> list[str]:
        return [event["type"] for event in list(self.events)]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.close()


@pytest.fixture
def server(endpoint: Endpoint) -> Iterator[LocalStripe]:
    """A fresh account; at the end nothing it answered or delivered may have had a wrong shape."""
    with LocalStripe.start(
        webhook_url=endpoint.url, webhook_secret=SECRET, retry_delays=(0.05,), lock_wait=0.3
    ) as made:
        yield made
        assert made.control.violations() == []


@pytest.fixture
def client(server: LocalStripe) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_local", base_addresses={"api": server.url})


@pytest.fixture
def customer(client: stripe.StripeClient) -> stripe.Customer:
    return client.v1.customers.create({"email": "ada@example.com"})


@pytest.fixture
def card(client: stripe.StripeClient, customer: stripe.Customer) -> stripe.PaymentMethod:
    return client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})


@pytest.fixture
def charge(client: stripe.StripeClient, customer: stripe.Customer) -> Callable[..., stripe.PaymentIntent]:
    """Charge off session: `charge(card, 500, key="...")`."""

    def go(method: Any, amount: int = 500, key: str | None = None, **more: Any) -> stripe.PaymentIntent:
        params: dict[str, Any] = {
            "amount": amount,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": getattr(method, "id", method),
            "confirm": True,
            "off_session": True,
            "expand": ["latest_charge"],
            **more,
        }
        options: Any = {"idempotency_key": key} if key else {}
        return client.v1.payment_intents.create(params, options)

    return go


@pytest.fixture
def checkout(client: stripe.StripeClient) -> Callable[..., stripe.checkout.Session]:
    """Make a session: `checkout(customer=..., payment_intent_data=...)`."""

    def make(**more: Any) -> stripe.checkout.Session:
        params: dict[str, Any] = {
            "mode": "payment",
            "success_url": "http://shop.test/ok?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://shop.test/cancel",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": "usd",
                        "unit_amount": 500,
                        "product_data": {"name": "100 credits"},
                    },
                }
            ],
            **more,
        }
        return client.v1.checkout.sessions.create(params)

    return make


@pytest.fixture
def price(client: stripe.StripeClient) -> Callable[..., str]:
    """Make a price: `price(2000)`, `price(19000, "year")`, `price(500, "month", 3)`; its id."""
    product = client.v1.products.create({"name": "Pro"}).id

    def make(amount: int, interval: str = "month", count: int = 1, currency: str = "usd") -> str:
        recurring: Any = {"interval": interval, "interval_count": count}
        return client.v1.prices.create(
            {"product": product, "currency": currency, "unit_amount": amount, "recurring": recurring}
        ).id

    return make


@pytest.fixture
def clock(client: stripe.StripeClient) -> stripe.test_helpers.TestClock:
    start = int(dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC).timestamp())
    return client.v1.test_helpers.test_clocks.create({"frozen_time": start})


@pytest.fixture
def buyer(client: stripe.StripeClient, clock: stripe.test_helpers.TestClock) -> str:
    """A customer with a card, in the time of the test clock."""
    made = client.v1.customers.create({"email": "buyer@example.com", "test_clock": clock.id})
    pm = client.v1.payment_methods.attach("pm_card_visa", {"customer": made.id})
    client.v1.customers.update(made.id, {"invoice_settings": {"default_payment_method": pm.id}})
    return made.id


@pytest.fixture
def subscribe(client: stripe.StripeClient, buyer: str) -> Callable[..., stripe.Subscription]:
    def make(price: str, quantity: int = 1, **more: Any) -> stripe.Subscription:
        params: Any = {"customer": buyer, "items": [{"price": price, "quantity": quantity}], **more}
        return client.v1.subscriptions.create(params)

    return make


@pytest.fixture
def to(client: stripe.StripeClient, clock: stripe.test_helpers.TestClock) -> Callable[[int], None]:
    """Advance the test clock to a moment."""

    def advance(moment: int) -> None:
        answer = client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": moment})
        assert answer.status == "advancing"
        assert client.v1.test_helpers.test_clocks.retrieve(clock.id).status == "ready"

    return advance
