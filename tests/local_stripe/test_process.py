"""The local Stripe as a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import requests
import stripe


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_says_when_it_is_ready_serves_and_ends_on_sigterm() -> None:
    port = free_port()
    command = [sys.executable, "-m", "local.stripe", "--port", str(port), "--state", ":memory:"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "Local Stripe" in process.stdout.readline()
        url = f"http://127.0.0.1:{port}"
        assert requests.get(f"{url}/healthz", timeout=5).json()["status"] == "ok"
        client = stripe.StripeClient("sk_test_local", base_addresses={"api": url})
        assert client.v1.balance.retrieve().available[0].amount == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0
        assert process.stdout.read() == ""
