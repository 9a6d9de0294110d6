"""The load generator: as many keep-alive connections as asked for, each sending as soon as it was answered.

A Spec as JSON on its input, an Outcome on its output. One thread and plain sockets, so that it takes as little of
the machine as it can.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict

from bench import requests
from bench.harness import BenchError
from bench.load import Outcome, Spec

HOST = "127.0.0.1"
POLL_SECONDS = 10.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class _Client:
    """One connection."""

    def __init__(self, port: int, source: Iterator[bytes]) -> None:
        self._port, self._source, self.sent_at, self.answer = port, source, 0.0, b""
        self.connect()

    @property
    def closing(self) -> bool:
        """Whether the server said that it closes the connection after this answer."""
        return b"\r\nconnection: close" in self.answer.partition(b"\r\n\r\n")[0].lower()

    def connect(self) -> None:
        self.socket = socket.create_connection((HOST, self._port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self) -> None:
        request = next(self._source)
        self.answer = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool | None:
        """True when the answer is complete, None when the connection has ended."""
        data = self.socket.recv(262_144)
        if not data:
            return None
        self.answer += data
        head, end, body = self.answer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head) if end else None
        return length is not None and len(body) >= int(length[1])


class _Generator:
    def __init__(self, spec: Spec) -> None:
        source = requests.KINDS[spec.kind](spec.secret, spec.accounts)
        self._clients = [_Client(spec.port, source) for _ in range(spec.clients)]
        self._by_descriptor: dict[int, _Client] = {}
        self._poll = select.poll()
        self._outcome, self._spec = Outcome(), spec
        self._latencies: list[float] = []
        self._counted_from = time.perf_counter() + spec.warm_up
        self._until = self._counted_from + spec.seconds

    def run(self) -> Outcome:
        for client in self._clients:
            self._start(client)
        while self._by_descriptor:
            ready = self._poll.poll(POLL_SECONDS * 1000)
            if not ready:
                raise BenchError("no answer for ten seconds")
            for descriptor, _event in ready:
                self._take(self._by_descriptor[descriptor])
        return self._summary()

    def _start(self, client: _Client) -> None:
        self._by_descriptor[client.socket.fileno()] = client
        self._poll.register(client.socket, select.POLLIN)
        self._send(client)

    def _send(self, client: _Client) -> None:
        try:
            client.send()
        except OSError:
            self._replace(client)

    def _connect(self, client: _Client) -> None:
        try:
            client.connect()
        except OSError:
            if not self._spec.until_refused:
                raise
        else:
            self._start(client)

    def _take(self, client: _Client) -> None:
        try:
            complete = client.receive()
        except OSError:
            complete = None
        if complete is None:
            self._replace(client)
        elif complete:
            now = time.perf_counter()
            self._count(client, now)
            self._go_on(client, now)

    def _go_on(self, client: _Client, now: float) -> None:
        if now >= self._until:
            self._forget(client)
        elif client.closing:
            self._forget(client)
            self._connect(client)
        else:
            self._send(client)

    def _count(self, client: _Client, now: float) -> None:
        status = client.answer[9:12].decode()
        self._outcome.statuses[status] = self._outcome.statuses.get(status, 0) + 1
        if self._counted_from <= now <= self._until:
            self._latencies.append(now - client.sent_at)

    def _replace(self, client: _Client) -> None:
        """A new connection for one that ended without an answer."""
        self._outcome.dropped += 1
        self._forget(client)
        if time.perf_counter() < self._until:
            self._connect(client)

    def _forget(self, client: _Client) -> None:
        del self._by_descriptor[client.socket.fileno()]
        self._poll.unregister(client.socket)
        client.socket.close()

    def _summary(self) -> Outcome:
        ordered, outcome = sorted(self._latencies), self._outcome
        outcome.answered, outcome.per_s = len(ordered), len(ordered) / self._spec.seconds
        if ordered:
            outcome.p50_ms = 1000 * ordered[len(ordered) // 2]
            outcome.p99_ms = 1000 * ordered[int(len(ordered) * 0.99)]
        return outcome


if __name__ == "__main__":
    print(json.dumps(asdict(_Generator(Spec(**json.load(sys.stdin))).run())))
