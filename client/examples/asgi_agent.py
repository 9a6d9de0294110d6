"""The same endpoint as a plain ASGI application that streams its answer: any ASGI server runs `app`.

A refusal comes before the first byte, since the hold is placed before anything is sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from refill import AsyncRefill, Insufficient, RefillError, Refused

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


async def agent(prompt: str) -> AsyncIterator[str]:
    """Your agent, word by word."""
    for word in f"You asked: {prompt}".split():
        await asyncio.sleep(0)
        yield f"{word} "


class App:
    """One client for the process, closed when the server stops."""

    def __init__(self) -> None:
        self.refill: AsyncRefill | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif (scope["method"], scope["path"]) != ("POST", "/api/pydantic-agent"):
            await _answer(send, 404, {"code": "not_found"})
        else:
            try:
                await self._run(scope, json.loads(await _body(receive)), send)
            except Insufficient as error:
                await _answer(send, 402, error.facts | {"message": error.message})
            except Refused as error:
                await _answer(send, error.status, {"code": error.code, "message": error.detail})
            except RefillError:
                await _answer(send, 503, {"code": "unavailable", "message": "Please try again in a moment."})

    async def _run(self, scope: dict[str, Any], body: dict[str, Any], send: Send) -> None:
        self.refill = self.refill or AsyncRefill()
        account = dict(scope["headers"])[b"x-account"].decode()
        hold = self.refill.hold("message", account_id=account, agent="pydantic-agent")
        async with hold:
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
            )
            async for word in agent(body["prompt"]):
                await send({"type": "http.response.body", "body": word.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown" and self.refill is not None:
                await self.refill.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _answer(send: Send, status: int, data: dict[str, Any]) -> None:
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
    )
    await send({"type": "http.response.body", "body": json.dumps(data).encode()})


app = App()
