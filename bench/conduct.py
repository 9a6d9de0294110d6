"""Trials of a web server by clients that misbehave. Each answers in words what the server did."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

SLOW_SECONDS = 20.0
CLIENTS = 64
_HOST = "127.0.0.1"


def _exchange(port: int, data: bytes, timeout: float = 10.0) -> str:
    """The status line that comes back, or what happened instead."""
    with socket.create_connection((_HOST, port), timeout=timeout) as client:
        try:
            client.sendall(data)
            answer = client.recv(65_536)
        except TimeoutError:
            return f"nothing for {timeout:g} s"
        except OSError as error:
            return type(error).__name__
    return answer.split(b"\r\n", 1)[0].decode(errors="replace") or "closed without an answer"


def slow_headers(port: int, _key: str) -> str:
    """Clients that never finish their headers: whether others are served, and they are ever cut off."""
    with contextlib.ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection((_HOST, port), timeout=5)) for _ in range(CLIENTS)
        ]
        for client in idle:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        time.sleep(0.5)
        return f"others meanwhile: {_healthy(port)}; {_cut_off(idle[0])}"


def slow_bodies(port: int, key: str) -> str:
    """Clients that never finish a body, more of them than there are threads."""
    head = f"POST /api/credits/use HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    with contextlib.ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection((_HOST, port), timeout=5)) for _ in range(CLIENTS)
        ]
        for client in slow:
            client.sendall(head.encode())
        time.sleep(0.5)
        return f"others meanwhile: {_healthy(port)}; {_cut_off(slow[0])}"


def _healthy(port: int) -> str:
    start = time.monotonic()
    status = _exchange(port, b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", timeout=5)
    return f"{status.removeprefix('HTTP/1.1 ')} in {1000 * (time.monotonic() - start):.0f} ms"


def _cut_off(client: socket.socket) -> str:
    """Whether the server ends a connection that sends nothing."""
    client.settimeout(SLOW_SECONDS)
    start = time.monotonic()
    try:
        data = client.recv(4096)
    except TimeoutError:
        return f"not cut off within {SLOW_SECONDS:g} s"
    except OSError:
        data = b""
    what = data.split(b"\r\n", 1)[0].decode(errors="replace") or "closed"
    return f"cut off after {time.monotonic() - start:.0f} s ({what})"


def long_line(port: int, _key: str) -> str:
    """A request line of 64 kB."""
    return _exchange(port, b"GET /" + b"a" * 65_536 + b" HTTP/1.1\r\nHost: a\r\n\r\n")


def long_header(port: int, _key: str) -> str:
    """A header of 64 kB."""
    return _exchange(port, b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 65_536 + b"\r\n\r\n")


def many_headers(port: int, _key: str) -> str:
    """A thousand headers."""
    headers = b"".join(b"X-%d: a\r\n" % number for number in range(1000))
    return _exchange(port, b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n")


def large_body(port: int, key: str) -> str:
    """A declared body of a gigabyte, of which nothing was sent yet."""
    head = f"POST /api/credits/use HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {2**30}\r\n\r\n"
    return _exchange(port, head.encode())


def two_lengths(port: int, _key: str) -> str:
    """Content-Length and Transfer-Encoding at once, as request smugglers send them."""
    head = b"POST /api/credits/use HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    return _exchange(port, head + b"0\r\n\r\n")


TRIALS: dict[str, Callable[[int, str], str]] = {
    f"{CLIENTS} clients that never end their headers": slow_headers,
    f"{CLIENTS} clients that never end their body": slow_bodies,
    "request line of 64 kB": long_line,
    "header of 64 kB": long_header,
    "1,000 headers": many_headers,
    "body of 1 GiB announced": large_body,
    "two lengths at once": two_lengths,
}
