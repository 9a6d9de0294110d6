"""A front end of somebody else's: a server on an origin of its own that gives the files it is handed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TYPES = {"js": "text/javascript", "html": "text/html; charset=utf-8"}


class FrontEnd:
    """`origin` is what Refill allows. The same server under its other name, `foreign`, is another origin."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.foreign = f"http://localhost:{port}"
        self.files: dict[str, str] = {}


@contextmanager
def serving() -> Iterator[FrontEnd]:
    """A front end that listens, without any file yet."""
    front_end: FrontEnd

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/")
            body = front_end.files.get(name, "").encode()
            self.send_response(200 if name in front_end.files else 204)
            self.send_header("Content-Type", TYPES.get(name.rpartition(".")[2], "text/plain"))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    front_end = FrontEnd(server.server_port)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield front_end
    finally:
        server.shutdown()
        server.server_close()
