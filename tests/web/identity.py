"""Who signs tokens in these tests: a project's key set behind HTTP, its keys, and people."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

MEMBER = "00000000-0000-4000-8000-000000000001"
ADMIN = "00000000-0000-4000-8000-000000000002"
OWNER = "00000000-0000-4000-8000-000000000003"
STRANGER = "00000000-0000-4000-8000-000000000004"


class Issuer:
    """A Supabase project as far as its tokens go. `requests` counts how often its keys were asked for."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.requests = 0
        self.down = False
        self.padding = ""
        self.keys: dict[str, Any] = {}
        self.add_key("k1")

    def add_key(self, key_id: str, algorithm: str = "ES256") -> None:
        self.keys[key_id] = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm == "ES256"
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )

    def document(self) -> dict[str, Any]:
        rows = []
        for key_id, key in self.keys.items():
            kind = (
                jwt.algorithms.ECAlgorithm
                if isinstance(key, ec.EllipticCurvePrivateKey)
                else jwt.algorithms.RSAAlgorithm
            )
            algorithm = "ES256" if kind is jwt.algorithms.ECAlgorithm else "RS256"
            row: dict[str, Any] = kind.to_jwk(key.public_key(), as_dict=True)  # type: ignore[attr-defined]
            rows.append(row | {"kid": key_id, "alg": algorithm, "use": "sig", "key_ops": ["verify"]})
        return {"keys": rows, "padding": self.padding}

    def claims(self, user_id: str, **more: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": f"{self.url}/auth/v1",
            "aud": "authenticated",
            "role": "authenticated",
            "sub": user_id,
            "email": "someone@example.com",
            "iat": now,
            "exp": now + 3600,
            "is_anonymous": False,
        } | more
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, user_id: str = MEMBER, *, key_id: str = "k1", **more: Any) -> str:
        """A signed token; a claim that is None is left out."""
        key = self.keys[key_id]
        algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
        return jwt.encode(self.claims(user_id, **more), key, algorithm=algorithm, headers={"kid": key_id})

    def headers(self, user_id: str, **more: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(user_id, **more)}"}


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer that listens."""
    issuer: Issuer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.requests += 1
            found = self.path == "/auth/v1/.well-known/jwks.json" and not issuer.down
            # What is away may still answer something that looks like a key set.
            body = json.dumps(issuer.document() if found else {"keys": []}).encode()
            self.send_response(200 if found else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(server.server_port)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
