"""HTTP to addresses that others chose: one POST, bounded in time and size, that follows no redirect.

With `public_only` it speaks HTTPS to public addresses alone, and connects to the very address that it checked, so that a
name which resolves to another one a moment later changes nothing.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore

from shared.webhook_urls import is_public

TOTAL_SECONDS: Final = 20.0
CONNECT_SECONDS: Final = 5.0
RESPONSE_BYTES_MAX: Final = 65_536


class Undelivered(Exception):
    """The request had no answer; `reason` is a word for the books, and names neither address nor content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def post(url: str, content: bytes, headers: dict[str, str], *, public_only: bool) -> int:
    """The status of the answer, whatever it is; its body is read up to a bound and dropped. Raises Undelivered."""
    backend = _Backend(public_only, time.monotonic() + TOTAL_SECONDS)
    if public_only and urlsplit(url).scheme != "https":
        raise Undelivered("not_https")
    try:
        with (
            httpcore.ConnectionPool(network_backend=backend) as pool,
            pool.stream(
                "POST",
                url,
                headers=[("Content-Type", "application/json"), *headers.items()],
                content=content,
                extensions={"timeout": {"connect": CONNECT_SECONDS, "read": TOTAL_SECONDS}},
            ) as response,
        ):
            _drop(response.iter_stream())
            return int(response.status)
    except httpcore.TimeoutException as error:
        raise Undelivered("timeout") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError) as error:
        raise Undelivered(
            "tls_error" if isinstance(error.__context__, ssl.SSLError) else "no_connection"
        ) from error
    except (ValueError, UnicodeError) as error:
        raise Undelivered("bad_url") from error


def _drop(parts: Iterable[bytes]) -> None:
    size = 0
    for part in parts:
        size += len(part)
        if size > RESPONSE_BYTES_MAX:
            return


class _Backend(httpcore.NetworkBackend):
    """Resolves a name once, checks what came, and connects to that."""

    def __init__(self, public_only: bool, end: float) -> None:
        self._public_only = public_only
        self._end = end
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """See httpcore.NetworkBackend. Every address must be allowed: a mix is a trick. The first that answers is taken."""
        found = [str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        if self._public_only and not all(is_public(address) for address in found):
            raise Undelivered("address_refused")
        *others, last = dict.fromkeys(found)
        for address in others:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                stream = self._sockets.connect_tcp(address, port, timeout, local_address, socket_options)
                return _Stream(stream, self._end)
        stream = self._sockets.connect_tcp(last, port, timeout, local_address, socket_options)
        return _Stream(stream, self._end)


class _Stream(httpcore.NetworkStream):
    """A connection with one end of time for everything, so that nobody holds a worker with a byte now and then."""

    def __init__(self, stream: httpcore.NetworkStream, end: float) -> None:
        self._stream = stream
        self._end = end

    def _left(self, timeout: float | None) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left if timeout is None else min(left, timeout)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See httpcore.NetworkStream."""
        return self._stream.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See httpcore.NetworkStream."""
        self._stream.write(buffer, self._left(timeout))

    def close(self) -> None:
        """See httpcore.NetworkStream."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """See httpcore.NetworkStream."""
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, self._left(timeout)), self._end)

    def get_extra_info(self, info: str) -> Any:
        """See httpcore.NetworkStream."""
        return self._stream.get_extra_info(info)
