"""What Refill sends to Stripe, and how its answers end: against a server that answers what a test says."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
import stripe

from shared import stripe_client
from shared.errors import RefillError, StripeUnavailable
from shared.models import Payment, Topup
from shared.seals import Sealer
from shared.stripe_client import (
    AuthenticationRequired,
    CardDeclined,
    StripeBusy,
    StripeForbidden,
    StripeGateway,
    StripeRefused,
)
from shared.stripe_facts import facts_of_intent

PAYMENT: Any = {
    "id": "pay_1",
    "account_id": "acct_1",
    "amount": 1290,
    "lines": [
        {"kind": "credits", "label": "Credits", "amount": 1000},
        {"kind": "fee", "label": "Card fee", "amount": 75},
        {"kind": "tax", "label": "VAT 20 %", "amount": 215},
    ],
    "currency": "usd",
    "created_at": "2026-11-20T20:00:00+00:00",
}
SEALER = Sealer("a test key")
TOPUP: Any = {
    "id": "top_1",
    "payment_id": "pay_1",
    "account_id": "acct_1",
    "amount": 500,
    "currency": "usd",
    "stripe_customer_id": "cus_1",
    "payment_method": "pm_1",
}


class Server:
    """Answers every request with `answers` in turn, the last one for ever; keeps what was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes, dict[str, str]]] = [(200, b'{"id": "x", "object": "x"}', {})]
        self.requests: list[tuple[str, str, dict[str, list[str]], dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append((self.command, self.path, parse_qs(body), headers))
                status, answer, extra = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                self.send_response(status)
                for name, value in extra.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def says(self, status: int, body: Any, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers = [(status, raw, {name.replace("_", "-"): value for name, value in headers.items()})]

    @property
    def sent(self) -> dict[str, str]:
        """The parameters of the last request."""
        return {name: values[0] for name, values in self.requests[-1][2].items()}

    @property
    def key(self) -> str | None:
        return self.requests[-1][3].get("idempotency-key")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(stripe.HTTPClient, "_sleep_time_seconds", lambda *_a, **_k: 0)
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def gateway(server: Server) -> StripeGateway:
    return StripeGateway(
        stripe.StripeClient(
            "sk_test_123",
            max_network_retries=stripe_client.NETWORK_RETRIES_MAX,
            http_client=stripe.RequestsClient(timeout=(2, 2)),
            base_addresses={"api": f"http://127.0.0.1:{server.http.server_port}"},
        ),
        SEALER,
    )


def error(**fields: Any) -> dict[str, Any]:
    return {"error": {"message": "no", **fields}}


def test_top_up_intent_is_unconfirmed_and_keyed_by_its_row(server: Server, gateway: StripeGateway) -> None:
    gateway.create_topup_intent(TOPUP)
    assert server.key == "topup:top_1:create"
    assert server.sent == {
        "amount": "500",
        "currency": "usd",
        "customer": "cus_1",
        "payment_method": "pm_1",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        "metadata[refill_payment_id]": "pay_1",
        "metadata[refill_account_id]": "acct_1",
        "metadata[refill_topup_id]": "top_1",
        "metadata[refill_seal]": SEALER.metadata_of(TOPUP, payment_id="pay_1", topup_id="top_1")[
            "refill_seal"
        ],
    }


def test_confirmation_is_off_session_and_keyed_by_its_row(server: Server, gateway: StripeGateway) -> None:
    gateway.confirm_topup_intent("top_1", "pi_1")
    assert [server.requests[-1][1], server.key] == ["/v1/payment_intents/pi_1/confirm", "topup:top_1:confirm"]
    assert server.sent["off_session"] == "true"


def test_checkout_session_carries_our_ids_twice_and_saves_the_card(
    server: Server, gateway: StripeGateway
) -> None:
    opened = dt.datetime.now(dt.UTC).replace(microsecond=0)
    for _ in range(2):
        gateway.create_checkout_session(
            PAYMENT | {"created_at": opened.isoformat()},
            customer_id="cus_1",
            product_name="100 credits",
            success_url="https://a/s",
            cancel_url="https://a/c",
        )
    sent = server.sent
    assert server.key == "checkout:pay_1"
    assert sent["customer"] == "cus_1"
    items = [
        tuple(sent[f"line_items[{n}][price_data][{name}]"] for name in ("product_data][name", "unit_amount"))
        for n in range(3)
    ]
    assert items == [("100 credits", "1000"), ("Card fee", "75"), ("VAT 20 %", "215")]
    assert {sent[f"line_items[{n}][quantity]"] for n in range(3)} == {"1"}
    assert sent["payment_intent_data[setup_future_usage]"] == "off_session"
    assert (
        sent["metadata[refill_payment_id]"]
        == sent["payment_intent_data[metadata][refill_payment_id]"]
        == "pay_1"
    )
    assert int(sent["expires_at"]) == int(opened.timestamp()) + 3600
    assert server.requests[0][2] == server.requests[1][2]


def test_customer_is_keyed_by_its_account(server: Server, gateway: StripeGateway) -> None:
    assert gateway.ensure_customer("acct_1", "Test", None) == "x"
    assert [server.key, "email" in server.sent] == ["customer:acct_1", False]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (402, error(code="card_declined", decline_code="insufficient_funds"), CardDeclined),
        (402, error(type="card_error", code="authentication_required"), AuthenticationRequired),
        (402, error(code="card_declined", decline_code="authentication_not_handled"), AuthenticationRequired),
        (429, error(type="invalid_request_error", code="lock_timeout"), StripeBusy),
        (429, error(), StripeBusy),
        (400, error(code="rate_limit"), StripeBusy),
        (409, error(type="idempotency_error", code="idempotency_key_in_use"), StripeBusy),
        (401, error(), StripeForbidden),
        (403, error(code="more_permissions_required"), StripeForbidden),
        (400, error(type="idempotency_error"), StripeRefused),
        (400, error(code="parameter_unknown"), StripeRefused),
        (404, error(code="resource_missing", param="customer"), StripeRefused),
        (500, error(type="api_error"), StripeUnavailable),
        (503, b"<html>", StripeUnavailable),
        (200, b"<html>", StripeUnavailable),
        (502, b"", StripeUnavailable),
    ],
)  # fmt: skip
def test_every_answer_ends_in_one_of_six_ways(
    server: Server, gateway: StripeGateway, status: int, body: Any, expected: type[RefillError]
) -> None:
    server.says(status, body)
    with pytest.raises(RefillError) as raised:
        gateway.confirm_topup_intent("top_1", "pi_1")
    assert type(raised.value) is expected


def test_decline_carries_codes_and_the_intent(server: Server, gateway: StripeGateway) -> None:
    intent = {"id": "pi_1", "status": "requires_payment_method"}
    server.says(
        402,
        error(
            code="card_declined",
            decline_code="do_not_honor",
            advice_code="try_again_later",
            payment_intent=intent,
        ),
    )
    with pytest.raises(CardDeclined) as raised:
        gateway.confirm_topup_intent("top_1", "pi_1")
    found = raised.value
    assert [found.decline_code, found.advice_code, found.payment_intent] == [
        "do_not_honor",
        "try_again_later",
        intent,
    ]


def test_refusal_carries_code_and_parameter(server: Server, gateway: StripeGateway) -> None:
    server.says(404, error(code="resource_missing", param="customer"))
    with pytest.raises(StripeRefused) as raised:
        gateway.create_topup_intent(TOPUP)
    assert [raised.value.stripe_code, raised.value.param] == ["resource_missing", "customer"]


def test_retries_keep_the_key_and_are_bounded(server: Server, gateway: StripeGateway) -> None:
    """No. 52: the same key however often it is sent."""
    server.says(500, error())
    with pytest.raises(StripeUnavailable):
        gateway.create_topup_intent(TOPUP)
    keys = [headers["idempotency-key"] for _, _, _, headers in server.requests]
    assert keys == ["topup:top_1:create"] * (1 + stripe_client.NETWORK_RETRIES_MAX)


def test_saved_500_is_recognised_by_its_replay(server: Server, gateway: StripeGateway) -> None:
    server.says(500, error(), Idempotent_Replayed="true")
    with pytest.raises(StripeUnavailable) as raised:
        gateway.confirm_topup_intent("top_1", "pi_1")
    assert raised.value.extra["replayed"] is True


def test_nobody_there_is_an_unknown_outcome(server: Server, gateway: StripeGateway) -> None:
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(StripeUnavailable):
        gateway.retrieve_intent("pi_1")


def test_facts_of_an_intent_with_everything_expanded() -> None:
    card = {
        "brand": "visa",
        "last4": "4242",
        "exp_month": 1,
        "exp_year": 2030,
        "fingerprint": "f",
        "country": "US",
    }
    facts = facts_of_intent(
        {
            "id": "pi_1",
            "customer": "cus_1",
            "amount_received": 500,
            "currency": "usd",
            "created": 1,
            "setup_future_usage": "off_session",
            "latest_charge": {"id": "ch_1", "created": 2, "receipt_url": "https://r"},
            "payment_method": {"id": "pm_1", "customer": "cus_1", "card": card},
            "metadata": {},
        },
        checkout_session="cs_1",
    )
    assert facts == {
        "payment_intent": "pi_1",
        "customer": "cus_1",
        "amount_received": 500,
        "currency": "usd",
        "charge": "ch_1",
        "receipt_url": "https://r",
        "occurred_at": 2,
        "payment_method": "pm_1",
        "card": {name: value for name, value in card.items() if name != "country"},
        "saved": True,
        "checkout_session": "cs_1",
    }


def test_card_that_was_detached_meanwhile_is_not_saved() -> None:
    method = {"id": "pm_1", "customer": None, "card": {}}
    facts = facts_of_intent({"id": "pi_1", "setup_future_usage": "off_session", "payment_method": method})
    assert facts["saved"] is False


def test_facts_of_a_bare_intent() -> None:
    facts = facts_of_intent({"id": "pi_1", "latest_charge": "ch_1", "payment_method": None, "created": 1})
    assert [facts["charge"], facts["payment_method"], facts["card"], facts["saved"]] == [
        "ch_1",
        None,
        None,
        False,
    ]
    assert [facts["customer"], facts["amount_received"], facts["occurred_at"]] == [None, None, 1]


def test_rows_of_the_ledger_have_what_is_sent() -> None:
    assert set(TOPUP) <= set(Topup.__annotations__)
    assert set(PAYMENT) <= set(Payment.__annotations__)
