"""Request bodies: bounded in length before they are read, and JSON that means one thing only."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from flask import Request

from shared.errors import Refused

API_BYTES_MAX = 128 * 1024
USAGE_BYTES_MAX = 8 * 1024 * 1024
WEBHOOK_BYTES_MAX = 1024 * 1024


def read_body(request: Request, bytes_max: int) -> bytes:
    """The body's bytes.

    One without a declared length is refused unread: nobody could say when it is too long.
    """
    if request.content_length is None:
        if "Transfer-Encoding" in request.headers:
            raise Refused("send a Content-Length", code="length_required", status=411)
        return b""
    if request.content_length > bytes_max:
        raise Refused(f"the body may have {bytes_max} bytes", code="body_too_large", status=413)
    request.max_content_length = bytes_max
    return request.get_data(cache=False)


def parse_json(body: bytes) -> Any:
    """Strict JSON: no NaN or Infinity, no name twice in an object, bounded nesting."""
    try:
        return json.loads(
            body.decode(), parse_constant=_constant, parse_float=_float, object_pairs_hook=_object
        )
    except (ValueError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else "the body is not JSON"
        raise Refused(reason, code="malformed_json", status=400) from None


def is_json(request: Request) -> bool:
    """Whether the body is declared as JSON, CloudEvents included."""
    kind = request.mimetype
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return value
