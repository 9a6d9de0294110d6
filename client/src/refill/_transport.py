"""Drives flows with httpx, blocking or with asyncio."""

from __future__ import annotations

import asyncio
import time
from typing import Any, TypeVar

import httpx

from refill._flow import Answer, Failure, Flow, Send, Wait
from refill._fork import register
from refill._version import __version__

T = TypeVar("T")
# The service cannot have got these.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def _headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}", "User-Agent": f"refill-client/{__version__}"}


def _arguments(send: Send) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"} if send.body is not None else {}
    return {"content": send.body, "headers": headers, "timeout": send.timeout}


def _answer(response: httpx.Response) -> Answer:
    try:
        data = response.json()
    except ValueError:
        data = None
    after = response.headers.get("Retry-After", "")
    return Answer(response.status_code, data, float(after) if after.isdecimal() else None)


def _failure(error: httpx.HTTPError) -> Failure:
    return Failure(f"{type(error).__name__}: {error}", reached=not isinstance(error, _UNSENT))


class Transport:
    """Runs flows in the calling thread; may be shared by threads."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._options: dict[str, Any] = {"base_url": base_url, "headers": _headers(api_key)}
        self.after_fork()
        register(self)

    def after_fork(self) -> None:
        """Connections cannot be shared with the parent."""
        self._http = httpx.Client(**self._options)

    def run(self, flow: Flow[T]) -> T:
        """What the flow returns."""
        try:
            effect = next(flow)
            while True:
                effect = flow.send(self.perform(effect))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # what the flow returns

    def perform(self, effect: Send | Wait) -> Answer | Failure | None:
        """One attempt, or one pause."""
        if isinstance(effect, Wait):
            time.sleep(effect.seconds)
            return None
        try:
            return _answer(self._http.request(effect.method, effect.path, **_arguments(effect)))
        except httpx.HTTPError as error:
            return _failure(error)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncTransport:
    """Runs flows in the event loop."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._http = httpx.AsyncClient(base_url=base_url, headers=_headers(api_key))

    async def run(self, flow: Flow[T]) -> T:
        """What the flow returns."""
        try:
            effect = next(flow)
            while True:
                effect = flow.send(await self._perform(effect))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # what the flow returns

    async def _perform(self, effect: Send | Wait) -> Answer | Failure | None:
        if isinstance(effect, Wait):
            await asyncio.sleep(effect.seconds)
            return None
        try:
            return _answer(await self._http.request(effect.method, effect.path, **_arguments(effect)))
        except httpx.HTTPError as error:
            return _failure(error)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
