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
from http import HTTPStatus
from typing import Any

from flask import Response, request

from shared import keys
from shared.errors import RefillError, Refused, Transient
from shared.ledger import Ledger

log = logging.getLogger(__name__)

KEY_LENGTH_MAX = 255
HEADER = "Idempotency-Key"


class Attempt:
    """One request under its key; without a key every request is its own.

    `lasts`: a handler sets how many seconds its answer is of use, when that is less than the week that answers are kept.
    """

    def __init__(self, caller: str, key: str | None, number: int = 1) -> None:
        self.caller = caller
        self.key = key
        self.number = number
        self.lasts: int | None = None

    def id(self, prefix: str) -> str:
        """The id of what this request makes: the same for every repeat of one round."""
        if self.key is None:
            return keys.new_id(prefix)
        rounds = () if self.number == 1 else (str(self.number),)
        return keys.derived_id(prefix, self.caller, self.key, *rounds)


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
    ledger: Ledger,
    caller: str,
    body: object,
    run: Callable[[Attempt], Response],
    *,
    makes: str | None = None,
    renews: bool = False,
) -> Response:
    """Runs the handler once for the key and the body; afterwards answers what it answered.

    makes: the prefix of the id of what the handler makes and the books keep. The key stays bound to its body for as long as
    that lives, also after a first try that failed and after its answer was forgotten. An answer that is over is refused,
    idempotency_key_expired; with `renews` it is made again, for what only a browser uses for a moment.
    """
    key = header_key()
    attempt = Attempt(caller, key)
    if key is None:
        return run(attempt)
    subject = attempt.id(makes) if makes else None
    known = ledger.begin_request(caller, key, _fingerprint(body), subject, renews=renews)
    if known["state"] == "done":
        return Response(json.dumps(known["body"]), status=known["status"], mimetype="application/json")
    if known["state"] != "new":
        raise _refusal(known["state"])
    attempt.number = known.get("round", 1)
    try:
        response = run(attempt)
    except RefillError as error:
        ledger.abandon_request(caller, key, keep=not _changed_nothing(error))
        raise
    _store(ledger, attempt, response)
    return response


def expired() -> Refused:
    """The refusal of a key whose answer is over."""
    return Refused(
        "This request was done before, and what it answered is over. Begin again, with a new Idempotency-Key.",
        code="idempotency_key_expired",
        status=409,
    )


def _refusal(state: str) -> Refused:
    if state == "in_flight":
        return Refused(
            "The first request with this key is still under way.", code="request_in_flight", status=409
        )
    if state == "expired":
        return expired()
    return Refused(
        "This Idempotency-Key was used for another request. Use a new one.", code="idempotency_key_reused"
    )


def _changed_nothing(error: RefillError) -> bool:
    """Refused before anything was made. 409 may come after a row was written, as may all that Stripe says."""
    return isinstance(error, Refused) and error.status != HTTPStatus.CONFLICT


def _store(ledger: Ledger, attempt: Attempt, response: Response) -> None:
    content: Any = response.get_json()
    try:
        ledger.finish_request(attempt.caller, str(attempt.key), response.status_code, content, attempt.lasts)
    except Transient:  # it is done, and a repeat will find it by its derived ids
        log.warning("the answer could not be stored for repeats", extra={"caller": attempt.caller})


def _fingerprint(body: object) -> str:
    text = json.dumps([request.method, request.path, body], sort_keys=True, default=str)
    return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16]))
