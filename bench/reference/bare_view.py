"""An empty Flask view, for the server that serves Refill: what a request costs before anything is done."""

from flask import Flask, Response

app = Flask(__name__)


@app.get("/")
def empty() -> Response:
    return Response(b"")
