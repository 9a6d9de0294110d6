"""List endpoints and `expand`: pages newest first, `created` windows, ids replaced by their objects."""

from __future__ import annotations

from typing import Any

from local.stripe.engine import Call
from local.stripe.errors import invalid, missing_object
from local.stripe.store import Obj

_KINDS = {
    "cus": "customer",
    "pm": "payment_method",
    "pi": "payment_intent",
    "ch": "charge",
    "seti": "setup_intent",
    "cs": "checkout.session",
    "re": "refund",
    "txn": "balance_transaction",
    "price": "price",
    "prod": "product",
    "sub": "subscription",
    "in": "invoice",
    "du": "dispute",
    "di": "discount",
    "promo": "promotion_code",
    "clock": "test_helpers.test_clock",
}
_LIMIT, _LEVELS = 100, 4
_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def page(call: Call, kind: str, url: str, **equals: Any) -> Obj:
    """One page of a list; keyword arguments with a value are columns or body fields that must be equal."""
    where, args = _filters(call, equals)
    if kind == "customer":
        where.append("json_extract(body, '$._deleted') is null")
    limit = call.params.get("limit", 10)
    if not 1 <= limit <= _LIMIT:
        word = "less than or equal to 100" if limit > _LIMIT else "greater than or equal to 1"
        raise invalid(f"Invalid integer: {limit}: must be {word}", "limit", "parameter_invalid_integer")
    backwards = "ending_before" in call.params
    cursor = call.params.get("ending_before") or call.params.get("starting_after")
    if cursor:
        seq = call.engine.store.seq(cursor)
        if seq is None:
            raise missing_object(kind, cursor, "ending_before" if backwards else "starting_after", 400)
        where.append("seq > ?" if backwards else "seq < ?")
        args.append(seq)
    order = "asc" if backwards else "desc"
    rows = call.engine.store.select(kind, " and ".join(where) or "1", tuple(args), order, limit + 1)
    data = rows[:limit]
    return {
        "object": "list",
        "data": list(reversed(data)) if backwards else data,
        "has_more": len(rows) > limit,
        "url": url,
    }


def whole(data: list[Obj], url: str) -> Obj:
    """A list that is all there is."""
    return {"object": "list", "data": data, "has_more": False, "url": url}


def _filters(call: Call, equals: dict[str, Any]) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    args: list[Any] = []
    for name, value in equals.items():
        column = name in ("customer", "payment_intent", "type")
        term = name if column else f"json_extract(body, '$.{name}')"
        if isinstance(value, tuple):
            where.append(f"{term} in ({', '.join('?' * len(value))})")
            args.extend(value)
        elif value is not None:
            where.append(f"{term} = ?")
            args.append(value)
    created = call.params.get("created")
    if isinstance(created, int):
        created = {"gte": created, "lte": created}
    for name, value in (created or {}).items():
        where.append(f"created {_OPERATORS[name]} ?")
        args.append(value)
    return where, args


def expand(call: Call, obj: Obj) -> Obj:
    """Replace ids by objects along each `expand[]` path; `data.` means every item of a list."""
    for path in call.params.get("expand", []):
        parts = path.split(".")
        if len(parts) > _LEVELS:
            raise invalid("You cannot expand more than 4 levels of a property.", "expand")
        _expand(call, obj, parts, path)
    return obj


def _expand(call: Call, obj: Obj, parts: list[str], path: str) -> None:
    head, rest = parts[0], parts[1:]
    if head == "payments" and obj.get("object") == "invoice" and head not in obj:
        where = "json_extract(body, '$.invoice') = ?"
        found = call.engine.store.select("invoice_payment", where, (obj["id"],))
        obj["payments"] = whole(found, f"/v1/invoice_payments?invoice={obj['id']}")
    if head not in obj:
        raise invalid(f"This property cannot be expanded ({path}).", "expand")
    value = obj[head]
    if isinstance(value, list):
        for index, item in enumerate(value):
            loaded = value[index] = _load(call, item, path) if isinstance(item, str) else item
            if rest:
                _expand(call, loaded, rest, path)
        return
    if isinstance(value, str):
        obj[head] = value = _load(call, value, path)
    if rest and isinstance(value, dict):
        _expand(call, value, rest, path)
    elif not rest and value is not None and not isinstance(value, dict):
        raise invalid(f"This property cannot be expanded ({path}).", "expand")


def _load(call: Call, id: str, path: str) -> Obj:
    kind = _KINDS.get(id.split("_", 1)[0], "coupon" if path.endswith("coupon") else None)
    found = call.engine.store.get(kind, id) if kind else None
    if found is None:
        raise invalid(f"This property cannot be expanded ({path}).", "expand")
    return found
