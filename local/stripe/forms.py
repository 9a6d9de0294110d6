"""Form-encoded requests: `a[b][0][c]=1` is decoded, checked against the SDK's description, and coerced.

The refusals are Stripe's: `parameter_unknown`, `parameter_missing`, `parameter_invalid_integer`, and so on.
An empty string where a value may be unset becomes None.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from local.stripe.errors import StripeError, invalid, missing_param
from local.stripe.schema import Node
from local.stripe.spec import Module, Spec

_PART = re.compile(r"\[([^\]]*)\]")
_INTEGER = re.compile(r"^-?\d{1,18}$")
_GONE = {
    "/v1/payment_intents": "payment_method_types",
    "/v1/setup_intents": "payment_method_types",
    "/v1/checkout/sessions": "payment_method_types",
}

# Stripe takes an empty string for these, as recorded traffic shows; the SDK's types do not say so.
_UNSETTABLE = {"/v1/subscriptions/{subscription_exposed_id}": ("default_payment_method",)}


def decode(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Nested dicts from bracketed names; lists stay dicts of indexes until their type is known."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        head, bracket, tail = name.partition("[")
        path = [head, *_PART.findall(bracket + tail)]
        target = root
        for part in path[:-1]:
            inner = target.setdefault(part or str(len(target)), {})
            if not isinstance(inner, dict):
                raise invalid("Invalid object", head)
            target = inner
        target[path[-1] or str(len(target))] = value
    return root


def validate(spec: Spec, method: str, template: str, raw: dict[str, Any]) -> dict[str, Any]:
    """The coerced parameters of one request, or the 400 that Stripe answers."""
    gone = _GONE.get(template)
    if method == "post" and gone and gone in raw:
        raise _no_longer_supported(gone)
    described = spec.operation(method, template)
    if described is None:
        if raw:
            raise _unknown(list(raw))
        return {}
    module, name = described
    unset = {key: None for key in _UNSETTABLE.get(template, ()) if raw.get(key) == ""}
    given = {key: value for key, value in raw.items() if key not in unset}
    return {**_Reader(module).fields(name, given, ""), **unset}


def _no_longer_supported(param: str) -> StripeError:
    return invalid(
        f"The parameter {param} is no longer supported. Use automatic_payment_methods, "
        "allowed_payment_method_types or your Dashboard's payment method settings instead.",
        param,
        f"{param}_no_longer_supported",
    )


def _unknown(names: list[str]) -> StripeError:
    word = "parameter" if len(names) == 1 else "parameters"
    return invalid(f"Received unknown {word}: {', '.join(names)}", names[0], "parameter_unknown")


class _Reader:
    def __init__(self, module: Module) -> None:
        self.module = module

    def fields(self, name: str, raw: dict[str, Any], path: str) -> dict[str, Any]:
        described = self.module[name]
        unknown = [_join(path, key) for key in raw if key not in described]
        if unknown:
            raise _unknown(unknown)
        for key, field in described.items():
            if field["required"] and key not in raw:
                raise missing_param(_join(path, key))
        return {
            key: self.value(described[key]["node"], value, _join(path, key)) for key, value in raw.items()
        }

    def value(self, node: Node, raw: Any, path: str) -> Any:
        kind = node["k"]
        if kind == "union":
            return self.union(node["of"], raw, path)
        if kind == "obj":
            if not isinstance(raw, dict):
                raise invalid("Invalid object", path)
            return self.fields(node["ref"], raw, path)
        if kind == "list":
            return self.items(node["of"], raw, path)
        if kind == "map":
            if not isinstance(raw, dict):
                raise invalid("Invalid object", path)
            return {key: self.map_value(node["of"], value, _join(path, key)) for key, value in raw.items()}
        return raw if kind == "any" else _scalar(node, raw, path)

    def map_value(self, node: Node, raw: Any, path: str) -> Any:
        """Metadata: an empty value removes the key, so it must survive as None."""
        return None if raw == "" else self.value(node, raw, path)

    def items(self, node: Node, raw: Any, path: str) -> list[Any]:
        if not isinstance(raw, dict) or not all(key.isdigit() for key in raw):
            raise invalid("Invalid array", path)
        return [self.value(node, raw[key], f"{path}[{key}]") for key in sorted(raw, key=int)]

    def union(self, parts: list[Node], raw: Any, path: str) -> Any:
        emptyable = any(part["k"] == "enum" and "" in part["v"] for part in parts)
        if raw == "" and emptyable:
            return None
        nested = isinstance(raw, dict)
        fitting = [part for part in parts if (part["k"] in ("obj", "list", "map", "any")) == nested]
        fitting = [part for part in fitting if part != {"k": "enum", "v": [""]}]
        if nested and len(fitting) > 1:
            is_list = all(key.isdigit() for key in raw)
            fitting = [part for part in fitting if (part["k"] == "list") == is_list] or fitting
        if not fitting:
            raise invalid("Invalid object" if not nested else "Invalid string", path)
        error: StripeError | None = None
        for part in fitting:
            try:
                return self.value(part, raw, path)
            except StripeError as refused:
                error = error or refused
        assert error is not None
        raise error


def _scalar(node: Node, raw: Any, path: str) -> Any:
    kind = node["k"]
    if not isinstance(raw, str):
        raise invalid(f"Invalid {'integer' if kind == 'int' else 'string'}: {raw}", path)
    if kind == "int":
        if not _INTEGER.match(raw):
            raise invalid(f"Invalid integer: {raw}", path, "parameter_invalid_integer")
        return int(raw)
    if kind == "bool":
        if raw not in ("true", "false"):
            raise invalid(f"Invalid boolean: {raw}", path)
        return raw == "true"
    if raw == "":
        raise invalid(
            f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a "
            f"parameter; however '{path}' cannot be unset. You should remove '{path}' from your request or "
            "supply a non-empty value.",
            path,
            "parameter_invalid_empty",
        )
    if kind == "enum":
        return _enum(node, raw, path)
    return _number(raw, path) if kind in ("num", "decimal") else raw


def _enum(node: Node, raw: str, path: str) -> str:
    allowed = [value for value in node["v"] if value != ""]
    if raw not in allowed:
        listed = ", ".join(map(str, allowed[:-1])) + (" or " if len(allowed) > 1 else "") + str(allowed[-1])
        raise invalid(
            f"Invalid {path}: must be one of {listed}" if len(allowed) > 1 else f"Invalid {path}", path
        )
    return raw


def _number(raw: str, path: str) -> str:
    if not re.match(r"^-?\d+(\.\d+)?$", raw):
        raise invalid(f"Invalid decimal: {raw}", path, "parameter_invalid_decimal")
    return raw


def _join(path: str, key: str) -> str:
    return f"{path}[{key}]" if path else key
