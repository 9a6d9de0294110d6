"""The local Stripe as a process of its own."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import stripe

from tests.local_stripe.conftest import wait_until


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(port: int, state: str) -> Iterator[subprocess.Popen[str]]:
    """The server, from its ready line on; killed at the end if it still runs."""
    command = [sys.executable, "-m", "local.stripe", "--port", str(port), "--state", state]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert "Local Stripe" in started.stdout.readline()
        try:
            yield started
        finally:
            started.kill()


def test_it_says_when_it_is_ready_serves_and_ends_on_sigterm(port: int) -> None:
    with process(port, ":memory:") as server:
        url = f"http://127.0.0.1:{port}"
        assert requests.get(f"{url}/healthz", timeout=5).json()["status"] == "ok"
        client = stripe.StripeClient("sk_test_local", base_addresses={"api": url})
        assert client.v1.balance.retrieve().available[0].amount == 0
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=5) == 0
        assert server.stdout is not None
        assert server.stdout.read() == ""


def test_killed_under_load_it_neither_loses_nor_doubles_a_charge(port: int, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{port}"
    client = stripe.StripeClient("sk_test_local", base_addresses={"api": url})
    answered: dict[int, str] = {}

    def charge(number: int) -> None:
        params = {
            "amount": 500,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "off_session": True,
        }

        def attempt() -> str | None:
            with contextlib.suppress(stripe.StripeError):
                return client.v1.payment_intents.create(params, {"idempotency_key": f"k{number}"}).id
            return None

        answered[number] = wait_until(attempt, timeout=20)

    state = str(tmp_path / "stripe.db")
    with ThreadPoolExecutor(3) as pool:
        with process(port, state):
            work = pool.map(charge, range(150))
            wait_until(lambda: len(answered) > 30, timeout=20)
        with process(port, state):
            list(work)
            totals = requests.get(f"{url}/_local/charges", timeout=5).json()
    assert len(set(answered.values())) == 150
    assert totals["succeeded"] == 150


def test_help_lists_the_options_and_the_control_api() -> None:
    command = [sys.executable, "-m", "local.stripe", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for word in (
        "--portal-not-saved",
        "/_local/restrict",
        "/_local/settle",
        "us_bank_account",
        "/_local/advance",
    ):
        assert word in text
