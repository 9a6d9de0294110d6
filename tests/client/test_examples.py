"""The examples and the guide do what they say, against the real service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from types import ModuleType
from typing import Any

import httpx
import pytest

from refill import metered
from tests.client.service import GRANTED, IMPATIENT, ROOT, Service, run_async

EXAMPLES = ROOT / "client" / "examples"
GUIDE = (ROOT / "docs" / "meter-your-agent.md").read_text()
CARD = {
    "action": "llm",
    "model": "fake-1",
    "rates": {
        "input": {"credits": "3", "per": 1000},
        "cached_input": {"credits": "0.3", "per": 1000},
        "output": {"credits": "15", "per": 1000},
    },
}


@pytest.fixture(autouse=True)
def environment(service: Service, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person exports before trying."""
    monkeypatch.setenv("REFILL_URL", service.url)
    monkeypatch.setenv("REFILL_API_KEY", service.key)
    monkeypatch.setenv("ACCOUNT", account)


def load(name: str) -> ModuleType:
    """An example as a module of its own."""
    module = ModuleType(name)
    exec(compile((EXAMPLES / f"{name}.py").read_text(), f"{name}.py", "exec"), module.__dict__)
    return module


@pytest.fixture
def flask_agent() -> Iterator[Any]:
    example = load("wsgi_agent")
    with httpx.Client(transport=httpx.WSGITransport(example.app), base_url="http://agent") as http:
        yield http
    example.refill().close()


def test_the_wsgi_agent_charges_each_success(flask_agent: Any, service: Service, account: str) -> None:
    answer = flask_agent.post("/api/pydantic-agent", json={"prompt": "why?"}, headers={"X-Account": account})
    assert (answer.status_code, answer.json()["answer"], answer.json()["credits"]) == (
        200,
        "You asked: why?",
        "1",
    )
    failed = flask_agent.post("/api/pydantic-agent", json={"prompt": ""}, headers={"X-Account": account})
    assert failed.status_code == 422
    assert (service.charged(account), service.held(account)) == (Decimal(1), Decimal(0))


def test_the_wsgi_agent_refuses_without_credits(flask_agent: Any, service: Service, account: str) -> None:
    service.api(account).post("/api/credits/use", id="all", amount=str(GRANTED))
    answer = flask_agent.post("/api/pydantic-agent", json={"prompt": "why?"}, headers={"X-Account": account})
    body = answer.json()
    assert (answer.status_code, body["code"], body["needed"], body["available"]) == (
        402, "insufficient_credits", "1", "0",
    )  # fmt: skip
    assert body["purchase_url"] in body["message"]


def test_the_wsgi_agent_says_that_an_account_is_not_known(flask_agent: Any) -> None:
    answer = flask_agent.post("/api/pydantic-agent", json={"prompt": "why?"}, headers={"X-Account": "nobody"})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_account")


def test_the_wsgi_agent_says_when_the_service_is_away(
    flask_agent: Any, service: Service, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refill.client.Policy", lambda: IMPATIENT)
    service.kill()
    answer = flask_agent.post("/api/pydantic-agent", json={"prompt": "why?"}, headers={"X-Account": account})
    assert answer.status_code == 503


def test_the_asgi_agent_streams_charges_and_refuses(service: Service, account: str) -> None:
    example = load("asgi_agent")

    async def work() -> None:
        transport = httpx.ASGITransport(example.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://agent") as http:
            headers = {"X-Account": account}
            answer = await http.post("/api/pydantic-agent", json={"prompt": "why?"}, headers=headers)
            assert (answer.status_code, answer.text) == (200, "You asked: why? ")
            assert service.charged(account) == Decimal(1)
            service.api(account).post("/api/credits/use", id="all", amount=str(GRANTED - 1))
            refused = await http.post("/api/pydantic-agent", json={"prompt": "why?"}, headers=headers)
            assert (refused.status_code, refused.json()["binding"]) == (402, "balance")
            assert refused.json()["message"]
            assert (await http.get("/")).status_code == 404
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return next(messages)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message["type"])

        await example.app({"type": "lifespan"}, receive, send)
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    run_async(work())


def test_the_llm_example_charges_by_tokens_of_exclusive_pools(service: Service, account: str) -> None:
    service.api(account).put("/api/billing/actions", **CARD)
    run = subprocess.run(
        [sys.executable, EXAMPLES / "llm_tokens.py"], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT / "client" / "src"), **_environ()},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    # 5 words in and out, 1,000 cached: 0.015 + 0.075 + 0.3
    assert service.charged(account) == Decimal("0.39")
    assert service.held(account) == 0


def _environ() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "REFILL_URL", "REFILL_API_KEY", "ACCOUNT")}


def test_the_guide_runs_from_top_to_bottom(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = service.api("demo")
    api.open_account("Demo", "demo@example.com")
    api.put("/api/billing/actions", **CARD)
    space: dict[str, Any] = {"__name__": "guide"}
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    for block in blocks:
        exec(compile(block, "docs/meter-your-agent.md", "exec"), space)
    out = capsys.readouterr().out
    assert out.startswith(f"1 credits charged, {GRANTED - 1} left\n")
    assert "insufficient_credits balance 3600" in out
    assert "\n2.1\n" in out
    # message, research, 3 tool calls, stream, the run's 2.5, tokens, 2 tool calls recorded, 8 leased
    assert (
        service.charged("demo")
        == Decimal(1) + 5 + Decimal("1.5") + 1 + Decimal("2.5") + Decimal("2.1") + 1 + 4
    )
    assert service.held("demo") == 0
    assert metered is space["metered"]
    assert service.violations() == []


def test_the_guide_curls_the_card_that_the_examples_use() -> None:
    sent = re.search(r"-d '(\{\"action\": \"llm\".*?)'", GUIDE, re.DOTALL)
    assert sent
    assert json.loads(sent[1]) == CARD
