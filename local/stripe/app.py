"""The local Stripe as a Flask application, and as a server in a thread.

with LocalStripe.start(webhook_url=..., webhook_secret="whsec_test") as stripe_server:
    client = stripe.StripeClient("sk_test_local", base_addresses={"api": stripe_server.url})
    stripe_server.control.behave("cus_...", decline_code="insufficient_funds", times=1)
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, Self
from urllib.parse import parse_qsl

from flask import Flask, Response, request, send_from_directory
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from local.stripe import control_http, hosted
from local.stripe.api import Api, Request
from local.stripe.control import Control
from local.stripe.engine import Config, Engine
from local.stripe.webhooks import Deliverer

_TICK = 1.0


class LocalStripe:
    """One local Stripe account: `.app` is WSGI, `.control` the control API, `.url` where it listens."""

    def __init__(self, config: Config) -> None:
        self.engine = Engine(config)
        self.api = Api(self.engine)
        self.deliverer = Deliverer(self.engine)
        self.control = Control(self.api, self.deliverer)
        self.app = _build_app(self)
        self.url = config.public_url
        self._server: _Server | None = None
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._ticker.start()

    @classmethod
    def start(cls, port: int = 0, host: str = "127.0.0.1", **settings: Any) -> LocalStripe:
        """Serve in background threads; port 0 takes a free one. Settings are those of `Config`."""
        listener = socket.create_server((host, port), backlog=512)
        url = settings.setdefault("public_url", f"http://{host}:{listener.getsockname()[1]}")
        made = cls(Config(**settings))
        made._server = _Server(
            host, listener.getsockname()[1], made.app, handler=_Handler, fd=listener.fileno()
        )
        listener.close()
        made.url = f"http://{host}:{made._server.port}" if "0.0.0.0" not in host else url
        threading.Thread(
            target=made._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return made

    def close(self) -> None:
        """Stop listening, cut open connections, let deliveries under way end, close the state."""
        self._stop.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
        self.deliverer.close()
        self._ticker.join()
        with self.engine.lock:
            self.engine.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _tick(self) -> None:
        while not self._stop.wait(_TICK):
            self.control.expire_due()
            self.control.run_due()


def create_app(**settings: Any) -> Flask:
    """The application alone, for another WSGI server; one process only, as the state belongs to it."""
    return LocalStripe(Config(**settings)).app


def _build_app(server: LocalStripe) -> Flask:
    app = Flask(__name__, template_folder="templates")
    app.register_blueprint(control_http.blueprint(server.control))
    app.register_blueprint(hosted.blueprint(server.engine))

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok", "api_version": server.engine.spec.api_version}

    @app.route("/v1/<path:path>", methods=["GET", "POST", "DELETE", "OPTIONS"])
    def v1(path: str) -> Response:
        if request.method == "OPTIONS":
            return _with_cors(Response(status=204))
        asked = _stripe_request(path)
        answer = server.api.answer(asked)
        if answer.drop:
            _cut(request.environ.get("werkzeug.socket"))
        return _with_cors(
            Response(answer.body, answer.status, answer.headers, content_type="application/json")
        )

    train = server.engine.spec.api_version.rpartition(".")[2]

    @app.get(f"/{train}/stripe.js")
    def stripe_js() -> Response:
        return send_from_directory(str(app.static_folder), "stripe.js", max_age=0)

    return app


def _stripe_request(path: str) -> Request:
    pairs = parse_qsl(request.query_string.decode(), keep_blank_values=True)
    if request.method == "POST":
        pairs += parse_qsl(request.get_data(as_text=True), keep_blank_values=True)
    authorization = request.headers.get("Authorization", "")
    key = authorization.removeprefix("Bearer ").strip()
    if request.authorization and request.authorization.type == "basic":
        key = request.authorization.username or ""
    key = key or dict(pairs).get("key", "")
    return Request(request.method.lower(), f"/v1/{path}", pairs, request.headers.get("Idempotency-Key"), key)


def _with_cors(response: Response) -> Response:
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Headers"] = "*"
    response.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
    return response


def _cut(connection: socket.socket | None) -> None:
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


class _Handler(WSGIRequestHandler):
    """Keep-alive, no Nagle delay, no access log (the control API has one)."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


class _Server(ThreadedWSGIServer):
    """Remembers its connections, so that closing the server really ends them."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self._connections):
            _cut(connection)
