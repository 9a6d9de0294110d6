"""What stands before PostgREST at Supabase: paths below /rest/v1, and API keys instead of signed tokens."""

import http.client
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import jwt

from local.embedded.postgrest import PostgREST
from local.embedded.server import HOST, free_port

PREFIX = "/rest/v1"
TOKEN_SECONDS = 3600
NOT_FORWARDED = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"} | {
    "apikey",
    "authorization",
}


class SupabaseGateway:
    """A Supabase URL for a PostgREST: `url`, `secret_key`, `publishable_key`, for `create_client`."""

    def __init__(self, postgrest: PostgREST) -> None:
        self.postgrest = postgrest
        self.secret_key = "sb_secret_" + postgrest.secret[:32]
        self.publishable_key = "sb_publishable_" + postgrest.secret[-32:]
        gateway = self

        class Handler(_Handler):
            owner = gateway

        self._server = ThreadingHTTPServer((HOST, free_port()), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_port}"

    def token(self, role: str, **claims: object) -> str:
        """A token that PostgREST takes, as Supabase Auth would sign it for a member."""
        expiry = int(time.time()) + TOKEN_SECONDS
        return jwt.encode({"role": role, "exp": expiry, **claims}, self.postgrest.secret, algorithm="HS256")

    def authorization(self, api_key: str, authorization: str) -> str | None:
        """The Authorization that PostgREST gets, or None for an unknown key."""
        roles = {self.secret_key: "service_role", self.publishable_key: "anon"}
        if api_key not in roles:
            return None
        if authorization and authorization != f"Bearer {api_key}":
            return authorization
        return f"Bearer {self.token(roles[api_key])}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    owner: SupabaseGateway
    protocol_version = "HTTP/1.1"

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        authorization = self.owner.authorization(
            self.headers.get("apikey", ""), self.headers.get("Authorization", "")
        )
        if authorization is None:
            self._answer(HTTPStatus.UNAUTHORIZED, {}, b'{"message": "Invalid API key"}')
            return
        if not self.path.startswith(f"{PREFIX}/"):
            self._answer(HTTPStatus.NOT_FOUND, {}, b'{"message": "no Route matched with those values"}')
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in NOT_FORWARDED}
        upstream = http.client.HTTPConnection(HOST, self.owner.postgrest.port, timeout=60)
        try:
            path = self.path.removeprefix(PREFIX)
            upstream.request(self.command, path, body, headers | {"Authorization": authorization})
            answer = upstream.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in NOT_FORWARDED}
            self._answer(answer.status, kept, answer.read())
        except OSError:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {}, b'{"message": "PostgREST is away"}')
        finally:
            upstream.close()

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = _forward  # noqa: N815 - names of the base class

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
