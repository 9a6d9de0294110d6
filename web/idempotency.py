"""`Idempotency-Key` on POSTs that have no id of their own: a repeat gets the stored answer.

What the handler makes is named by ids derived from caller and key, so that the repeat of a first try that
crashed half-way finds its rows, whether its answer was stored or not.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Callable
from typing import Any

from flask import Response, request

from shared import keys
from shared.errors import RefillError, Refused, Transient
from shared.ledger import Ledger

log = logging.getLogger(__name__)

KEY_LENGTH_MAX = 255
HEADER = "Idempotency-Key"


class Attempt:
    """One request under its key; without a key every request is its own."""

    def __init__(self, caller: str, key: str | None) -> None:
        self.caller = caller
        self.key = key

    def id(self, prefix: str) -> str:
        """The id of what this request makes: the same for every repeat."""
        return keys.new_id(prefix) if self.key is None else keys.derived_id(prefix, self.caller, self.key)


def header_key() -> str | None:
    """The request's Idempotency-Key, or None; Refused when it cannot be one."""
    key = request.headers.get(HEADER)
    if key is not None and not (0 < len(key) <= KEY_LENGTH_MAX and key.isascii() and key.isprintable()):
        raise Refused(
            f"{HEADER} has 1 to {KEY_LENGTH_MAX} printable ASCII characters",
            code="invalid_idempotency_key",
            status=400,
        )
    return key


def once(
    ledger: Ledger, caller: str, body: object, run: Callable[[Attempt], Response], key: str | None = None
) -> Response:
    """Runs the handler once for the key and the body; afterwards answers what it answered."""
    key = key or header_key()
    attempt = Attempt(caller, key)
    if key is None:
        return run(attempt)
    known = ledger.begin_request(caller, key, _fingerprint(body))
    if known["state"] == "done":
        return Response(json.dumps(known["body"]), status=known["status"], mimetype="application/json")
    if known["state"] == "in_flight":
        raise Refused(
            "The first request with this key is still under way.", code="request_in_flight", status=409
        )
    if known["state"] == "conflict":
        raise Refused(
            "This Idempotency-Key was used for another request. Use a new one.", code="idempotency_key_reused"
        )
    try:
        response = run(attempt)
    except RefillError:
        ledger.abandon_request(caller, key)
        raise
    _store(ledger, caller, key, response)
    return response


def _store(ledger: Ledger, caller: str, key: str, response: Response) -> None:
    content: Any = response.get_json()
    try:
        ledger.finish_request(caller, key, response.status_code, content)
    except Transient:  # it is done, and a repeat will find it by its derived ids
        log.warning("the answer could not be stored for repeats", extra={"caller": caller})


def _fingerprint(body: object) -> str:
    text = json.dumps([request.method, request.path, body], sort_keys=True, default=str)
    return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16]))
