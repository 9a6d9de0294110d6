"""The local Supabase Auth over HTTP, below /auth/v1, and what only a local one has, below /_local.

with LocalSupabase.start(site_url="http://localhost:8000") as supabase:
    client = create_client(supabase.url, supabase.publishable_key)
"""

from __future__ import annotations

import hmac
import secrets
import threading
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Flask, Response, jsonify, redirect, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Response as BaseResponse

from local.supabase.auth import Auth
from local.supabase.errors import AuthError, invalid

API_VERSION = "2024-01-01"
PROVIDERS = ("github", "google")
# What browsers open, and what is public, asks for no key at Supabase either.
_OPEN = ("/auth/v1/verify", "/auth/v1/authorize", "/auth/v1/callback", "/auth/v1/.well-known/jwks.json")


class LocalSupabase:
    """One local project: `url`, `publishable_key`, `secret_key`, and `auth` for tests to look into."""

    def __init__(
        self,
        url: str,
        site_url: str,
        *,
        publishable_key: str | None = None,
        secret_key: str | None = None,
        state: Path | None = None,
        token_seconds: int = 3600,
    ) -> None:
        self.url = url
        self.site_url = site_url
        self.publishable_key = publishable_key or "sb_publishable_" + secrets.token_hex(16)
        self.secret_key = secret_key or "sb_secret_" + secrets.token_hex(16)
        self.auth = Auth(f"{url}/auth/v1", state, token_seconds=token_seconds)
        self.away = False
        """Every request is answered 503, for tests."""
        self.requests: list[str] = []
        self.app = _build_app(self)
        self._server: BaseWSGIServer | None = None

    @classmethod
    def start(cls, port: int = 0, host: str = "127.0.0.1", *, site_url: str, **more: Any) -> LocalSupabase:
        """Serve in background threads; port 0 takes a free one."""
        holder = Flask("starting")
        server = make_server(host, port, holder, threaded=True, request_handler=_Handler)
        made = cls(f"http://{host}:{server.port}", site_url, **more)
        server.app = made.app
        made._server = server
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return made

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def allowed(self, redirect_to: str | None) -> str:
        """The address if it is the site's own, else the site: what a project's list of redirect URLs does."""
        own, given = urlsplit(self.site_url), urlsplit(redirect_to or "")
        return (
            redirect_to or "" if (own.scheme, own.netloc) == (given.scheme, given.netloc) else self.site_url
        )


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def _build_app(server: LocalSupabase) -> Flask:
    app = Flask(__name__, template_folder="templates")

    @app.before_request
    def guard() -> BaseResponse | None:
        server.requests.append(f"{request.method} {request.path}")
        if server.away:
            return Response("upstream is away", 503)
        if not request.path.startswith("/auth/v1/") or request.path in _OPEN:
            return None
        given = request.headers.get("apikey", "")
        keys = (server.publishable_key, server.secret_key)
        if not any(hmac.compare_digest(given.encode(), key.encode()) for key in keys):
            return _json({"message": "Invalid API key" if given else "No API key found in request"}, 401)
        return None

    @app.errorhandler(AuthError)
    def refused(error: AuthError) -> BaseResponse:
        if request.headers.get("X-Supabase-Api-Version", "") < API_VERSION:
            return _json({"code": error.status, "error_code": error.code, "msg": error.message}, error.status)
        response = _json({"code": error.code, "message": error.message}, error.status)
        response.headers["X-Supabase-Api-Version"] = API_VERSION
        return response

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> BaseResponse:
        return _json({"code": error.code, "msg": error.description}, error.code or 500)

    _add_tokens(app, server)
    _add_flows(app, server)
    _add_control(app, server)
    return app


def _add_tokens(app: Flask, server: LocalSupabase) -> None:
    auth = server.auth

    @app.get("/auth/v1/.well-known/jwks.json")
    def key_set() -> BaseResponse:
        return _json(auth.key_set())

    @app.post("/auth/v1/token")
    def token() -> BaseResponse:
        body = _body()
        match request.args.get("grant_type"):
            case "password":
                return _json(auth.by_password(_text(body, "email"), _text(body, "password")))
            case "refresh_token":
                return _json(auth.by_refresh_token(_text(body, "refresh_token")))
            case "pkce":
                return _json(auth.by_code(_text(body, "auth_code"), _text(body, "code_verifier")))
        raise invalid("unsupported_grant_type")

    @app.get("/auth/v1/user")
    def user() -> BaseResponse:
        return _json(auth.shown(auth.session_of(_bearer())[0]))

    @app.post("/auth/v1/logout")
    def logout() -> BaseResponse:
        auth.sign_out(_bearer(), request.args.get("scope", "global"))
        return Response(status=204)

    @app.route("/auth/v1/admin/users", methods=["GET", "POST"])
    def admin() -> BaseResponse:
        if request.headers.get("apikey") != server.secret_key:
            raise AuthError(403, "not_admin", "User not allowed")
        if request.method == "GET":
            return _json({"users": auth.users(), "aud": "authenticated"})
        body = _body()
        return _json(auth.create_user(_text(body, "email"), body.get("password")))


def _add_flows(app: Flask, server: LocalSupabase) -> None:
    auth = server.auth

    @app.post("/auth/v1/otp")
    def otp() -> BaseResponse:
        body = _body()
        email = _text(body, "email")
        if auth.find_user(email) is None and body.get("create_user", True):
            auth.create_user(email)
        redirect_to = server.allowed(request.args.get("redirect_to"))
        auth.send_link(
            email, redirect_to, body.get("code_challenge"), body.get("code_challenge_method", "plain")
        )
        return _json({})

    @app.get("/auth/v1/verify")
    def verify_link() -> BaseResponse:
        target = server.allowed(request.args.get("redirect_to"))
        link = auth.take_link(request.args.get("token", ""))
        if link is None:
            message = "Email link is invalid or has expired"
            error = {"error": "access_denied", "error_code": "otp_expired", "error_description": message}
            return redirect(f"{_with(target, **error)}#{urlencode(error)}", 303)
        code = auth.begin_flow(link["user_id"], link["challenge"] or "", link["method"], "otp")
        return redirect(_with(target, code=code), 303)

    @app.post("/auth/v1/verify")
    def verify_digits() -> BaseResponse:
        body = _body()
        return _json(auth.by_digits(_text(body, "email"), _text(body, "token")))

    @app.get("/auth/v1/authorize")
    def authorize() -> str:
        """In place of the provider's page: one click for each person there is."""
        if request.args.get("provider") not in PROVIDERS:
            raise invalid("Unsupported provider: provider is not enabled")
        return render_template(
            "authorize.html",
            provider=request.args["provider"],
            users=auth.users(),
            query=request.args.to_dict(),
        )

    @app.get("/auth/v1/callback")
    def callback() -> BaseResponse:
        given = request.args
        target = server.allowed(given.get("redirect_to"))
        if "user" not in given:
            error = {"error": "access_denied", "error_description": "The user denied the request"}
            return redirect(_with(target, **error), 303)
        method = given.get("code_challenge_method", "plain")
        code = auth.begin_flow(given["user"], given.get("code_challenge", ""), method, "oauth")
        return redirect(_with(target, code=code), 303)


def _add_control(app: Flask, server: LocalSupabase) -> None:
    @app.get("/favicon.ico")
    def icon() -> BaseResponse:
        return Response(status=204)

    @app.get("/_local/mails")
    def mails() -> BaseResponse:
        """The mails that a real project would have sent, newest first."""
        newest = server.auth.mails[::-1]
        if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
            return Response(render_template("mails.html", mails=newest), mimetype="text/html")
        return _json({"data": newest})


def _json(content: Any, status: int = 200) -> Response:
    response = jsonify(content)
    response.status_code = status
    return response


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise AuthError(400, "bad_json", "Could not parse request body as JSON")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


def _bearer() -> str:
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not token:
        raise AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token")
    return token


def _with(url: str, **more: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *more.items()])))
