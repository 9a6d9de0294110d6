"""Annotations of stripe-python, read with `ast`, become small JSON nodes that describe a type.

A node is a dict with a kind `k`: str, int, num, bool, any, enum (v), list (of), map (of), union (of), null
(of), obj (ref: a class of the same module), res (module, name: a class of another module), expand (of),
page (of). Used by `spec.py` only.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Node = dict[str, Any]

_SCALARS: dict[str, str] = {
    "str": "str",
    "int": "int",
    "float": "num",
    "bool": "bool",
    "Any": "any",
    "Decimal": "decimal",
    "object": "any",
}
_CONTAINERS = {"List": "list", "Sequence": "list", "Dict": "map", "UntypedStripeObject": "map"}
_WRAPPERS = {"ExpandableField": "expand", "ListObject": "page"}


@dataclass(frozen=True)
class Scope:
    """What names mean where an annotation stands: own nested classes, module classes, imports."""

    prefix: str
    classes: frozenset[str]
    imports: Mapping[str, str]

    def resolve(self, name: str) -> Node:
        if f"{self.prefix}{name}" in self.classes:
            return {"k": "obj", "ref": f"{self.prefix}{name}"}
        if name in self.classes:
            return {"k": "obj", "ref": name}
        if name in self.imports:
            return {"k": "res", "module": self.imports[name], "name": name}
        return {"k": "any"}


def parse(annotation: ast.expr, scope: Scope) -> tuple[Node, bool]:
    """The node of an annotation, and whether the field must be present."""
    if isinstance(annotation, ast.Subscript) and _name(annotation.value) == "NotRequired":
        return _node(annotation.slice, scope), False
    if isinstance(annotation, ast.Subscript) and _name(annotation.value) == "Required":
        return _node(annotation.slice, scope), True
    node = _node(annotation, scope)
    return node, node["k"] != "null"


def _name(expr: ast.expr) -> str:
    if isinstance(expr, ast.Name):
        return expr.id
    return expr.attr if isinstance(expr, ast.Attribute) else ""


def _node(expr: ast.expr, scope: Scope) -> Node:
    if isinstance(expr, ast.Constant):
        if isinstance(expr.value, str):
            return _node(ast.parse(expr.value, mode="eval").body, scope)
        return {"k": "any"}
    if isinstance(expr, ast.BinOp):
        return _union([_node(expr.left, scope), _node(expr.right, scope)])
    if isinstance(expr, ast.Subscript):
        return _subscript(expr, scope)
    name = _name(expr)
    return {"k": _SCALARS[name]} if name in _SCALARS else scope.resolve(name)


def _subscript(expr: ast.Subscript, scope: Scope) -> Node:
    name = _name(expr.value)
    args = list(expr.slice.elts) if isinstance(expr.slice, ast.Tuple) else [expr.slice]
    if name == "Literal":
        return {"k": "enum", "v": [arg.value for arg in args if isinstance(arg, ast.Constant)]}
    if name == "Optional":
        return {"k": "null", "of": _node(args[0], scope)}
    if name == "Union":
        return _union([_node(arg, scope) for arg in args])
    if name in _CONTAINERS:
        return {"k": _CONTAINERS[name], "of": _node(args[-1], scope)}
    if name in _WRAPPERS:
        return {"k": _WRAPPERS[name], "of": _node(args[0], scope)}
    return {"k": "any"}


def _union(parts: list[Node]) -> Node:
    """Flatten a union; literals beside `str` are how the SDK writes an open enum, which here stays closed."""
    flat: list[Node] = []
    for part in parts:
        flat.extend(part["of"] if part["k"] == "union" else [part])
    values = [value for part in flat if part["k"] == "enum" for value in part["v"]]
    rest = [part for part in flat if part["k"] != "enum"]
    if any(value != "" for value in values):
        rest = [part for part in rest if part["k"] != "str"]
    if values:
        rest.append({"k": "enum", "v": values})
    return rest[0] if len(rest) == 1 else {"k": "union", "of": rest}
