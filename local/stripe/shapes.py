"""Does an object or event have the shape that the SDK describes? Every answer is asked."""

from __future__ import annotations

from typing import Any

from local.stripe.schema import Node
from local.stripe.spec import Module, Spec

_PYTHON: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "num": (int, float),
    "bool": (bool,),
    "decimal": (str, int, float),
}


def problems(spec: Spec, value: Any, path: str = "") -> list[str]:
    """What is wrong with an answered object, one sentence each; empty when it is as Stripe's would be."""
    if not isinstance(value, dict) or not isinstance(value.get("object"), str):
        return [f"{path or 'answer'}: not a Stripe object"]
    name = value["object"]
    where = path or name
    if name == "list":
        return _page(spec, value, where)
    if value.get("deleted") is True:
        return [
            f"{where}: deleted objects have no {key}"
            for key in value
            if key not in ("id", "object", "deleted")
        ]
    described = spec.resource(name)
    if described is None:
        return [f"{where}: unknown object {name}"]
    found = _Checker(spec, described[0]).fields(described[1], value, where)
    if name == "event" and isinstance(value.get("data"), dict):
        found += problems(spec, value["data"].get("object"), f"{value.get('type')}.data.object")
    return found


def _page(spec: Spec, value: dict[str, Any], where: str) -> list[str]:
    found = [
        f"{where}: unknown field {key}" for key in value if key not in ("object", "data", "has_more", "url")
    ]
    if not isinstance(value.get("has_more"), bool) or not isinstance(value.get("url"), str):
        found.append(f"{where}: a list has has_more and url")
    for index, item in enumerate(value.get("data", [])):
        found += problems(spec, item, f"{where}.data[{index}]")
    return found


class _Checker:
    def __init__(self, spec: Spec, module: Module) -> None:
        self.spec = spec
        self.module = module

    def fields(self, name: str, value: dict[str, Any], path: str) -> list[str]:
        described = self.module.get(name, {})
        found = [f"{path}: unknown field {key}" for key in value if key not in described]
        for key, field in described.items():
            if key in value:
                found += self.check(field["node"], value[key], f"{path}.{key}")
            elif field["required"]:
                found.append(f"{path}: missing field {key}")
        return found

    def check(self, node: Node, value: Any, path: str) -> list[str]:
        kind = node["k"]
        if kind == "any":
            return []
        if kind == "null":
            return [] if value is None else self.check(node["of"], value, path)
        if kind == "union":
            attempts = [self.check(part, value, path) for part in node["of"]]
            return min(attempts, key=len)
        if kind == "enum":
            return [] if value in node["v"] else [f"{path}: {value!r} is not one of {node['v'][:8]}"]
        if kind in _PYTHON:
            wrong = not isinstance(value, _PYTHON[kind]) or (isinstance(value, bool) and kind != "bool")
            return [f"{path}: {value!r} is not {kind}"] if wrong else []
        return self.container(node, value, path)

    def container(self, node: Node, value: Any, path: str) -> list[str]:
        kind = node["k"]
        if kind == "expand" and isinstance(value, str):
            return []
        if kind in ("expand", "res", "page"):
            return self.resource(node, value, path)
        if kind == "list":
            if not isinstance(value, list):
                return [f"{path}: {value!r} is not a list"]
            return [
                line
                for index, item in enumerate(value)
                for line in self.check(node["of"], item, f"{path}[{index}]")
            ]
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is not an object"]
        if kind == "map":
            return [
                line for key, item in value.items() for line in self.check(node["of"], item, f"{path}.{key}")
            ]
        return self.fields(node["ref"], value, path)

    def resource(self, node: Node, value: Any, path: str) -> list[str]:
        if isinstance(value, dict) and "object" not in value and node["k"] == "res":
            return _Checker(self.spec, self.spec.module(node["module"])).fields(node["name"], value, path)
        return problems(self.spec, value, path)
