"""Which function answers which call. Templates are written exactly as stripe-python writes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.stripe.store import Obj

Handler = Callable[..., Obj]


@dataclass(frozen=True)
class Route:
    """One call that the local Stripe answers."""

    method: str
    template: str
    handler: Handler
    pattern: re.Pattern[str]


ROUTES: list[Route] = []


def route(method: str, template: str) -> Callable[[Handler], Handler]:
    """Register a handler; the ids in the template become its keyword arguments."""
    pattern = re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template) + "$")

    def register(handler: Handler) -> Handler:
        ROUTES.append(Route(method, template, handler, pattern))
        return handler

    return register


def merge_metadata(obj: Obj, params: dict[str, Any]) -> None:
    """Stripe's metadata update: keys merge, an empty value removes a key, an empty map removes all."""
    if "metadata" not in params:
        return
    if params["metadata"] is None:
        obj["metadata"] = {}
        return
    for key, value in params["metadata"].items():
        if value is None:
            obj["metadata"].pop(key, None)
        else:
            obj["metadata"][key] = value


def changed(before: Obj, after: Obj) -> dict[str, Any]:
    """`previous_attributes` of an update: the old values of what changed, nested maps key by key."""
    found: dict[str, Any] = {}
    for key, old in before.items():
        new = after.get(key)
        if key.startswith("_") or old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict) and old and "id" not in old:
            inner = {name: old.get(name) for name in {**old, **new} if old.get(name) != new.get(name)}
            found[key] = inner
        else:
            found[key] = old
    return found
