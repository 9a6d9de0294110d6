"""Stripe's own description of its API, read from the installed stripe-python with `ast`.

`Spec.operation("post", "/v1/payment_intents")` answers the parameters of a request,
`Spec.resource("payment_intent")` the fields of an object, both at the version the SDK pins. Nothing of it
is vendored; parsed modules are cached on disk, keyed by the SDK's files and by this reader. `forms.py`
validates requests with it, `shapes.py` answers and events.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from local.stripe import schema
from local.stripe.schema import Node

_NO_FIELDS = ("OBJECT_NAME", "_inner_class_types")

Fields = dict[str, dict[str, Any]]
Module = dict[str, Fields]


class Spec:
    """Requests and objects of one installed SDK version, parsed when first asked for."""

    def __init__(self, cache: Path | None = None) -> None:
        found = importlib.util.find_spec("stripe")
        if found is None or found.origin is None:
            raise RuntimeError("stripe-python is not installed")
        self.root = Path(found.origin).parent
        self.sdk_version = importlib.metadata.version("stripe")
        self.cache = (cache or _default_cache()) / f"{self.sdk_version}-{_reader_digest()}"
        self._modules: dict[str, Module] = {}
        self.api_version = str(self._cached("_api_version", self._read_api_version))
        self.operations: dict[str, dict[str, str]] = self._cached("_operations", self._read_operations)
        self.objects: dict[str, list[str]] = self._cached("_objects", self._read_objects)
        self._patterns = [(key.split(" ", 1)[0], _pattern(key.split(" ", 1)[1])) for key in self.operations]

    def operation(self, method: str, template: str) -> tuple[Module, str] | None:
        """The module and class that describe the parameters of a request, or None when it takes none."""
        entry = self.operations.get(f"{method.lower()} {template}")
        if entry is None:
            raise KeyError(f"stripe-python {self.sdk_version} has no {method} {template}")
        return (self.module(entry["module"]), entry["params"]) if entry.get("params") else None

    def knows(self, method: str, path: str) -> bool:
        """Whether real Stripe has this call at all."""
        return any(verb == method.lower() and pattern.match(path) for verb, pattern in self._patterns)

    def resource(self, object_name: str) -> tuple[Module, str] | None:
        """The module and class that describe an object, by the value of its `object` field."""
        entry = self.objects.get(object_name)
        return (self.module(entry[0]), entry[1]) if entry else None

    def module(self, name: str) -> Module:
        """Every class of one SDK module as fields: {name: {node, required}}."""
        if name not in self._modules:
            self._modules[name] = self._cached(name, lambda: self._read_module(name))
        return self._modules[name]

    def event_types(self) -> list[str]:
        """Every event type the SDK's version knows."""
        node = self.module("stripe._event")["Event"]["type"]["node"]
        return list(node["v"])

    def _cached(self, name: str, read: Any) -> Any:
        path = self.cache / f"{name}.json"
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError):
            value = read()
        self.cache.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.cache)
        with os.fdopen(handle, "w") as file:
            json.dump(value, file)
        Path(temporary).replace(path)
        return value

    def _tree(self, module: str) -> ast.Module:
        return ast.parse(self.root.joinpath(*module.split(".")[1:]).with_suffix(".py").read_text())

    def _read_api_version(self) -> str:
        for node in ast.walk(self._tree("stripe._api_version")):
            if (
                isinstance(node, ast.Assign)
                and _assigned(node) == "CURRENT"
                and isinstance(node.value, ast.Constant)
            ):
                return str(node.value.value)
        raise RuntimeError("stripe-python does not say which API version it pins")

    def _read_objects(self) -> dict[str, list[str]]:
        for node in ast.walk(self._tree("stripe._object_classes")):
            if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict) and node.value.keys:
                objects: dict[str, list[str]] = {}
                for key, value in zip(node.value.keys, node.value.values, strict=True):
                    if key is not None:
                        objects.setdefault(ast.literal_eval(key), list(ast.literal_eval(value)))
                return objects
        raise RuntimeError("stripe-python lists no object classes")

    def _read_operations(self) -> dict[str, dict[str, str]]:
        operations: dict[str, dict[str, str]] = {}
        for path in sorted(self.root.rglob("*_service.py")):
            if "v2" in path.parts:
                continue
            tree = ast.parse(path.read_text())
            imports = _imports(tree)
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef):
                    operations.update(_operation(node, imports))
        return operations

    def _read_module(self, name: str) -> Module:
        tree = self._tree(name)
        imports = _imports(tree)
        found: list[tuple[str, ast.ClassDef]] = []
        _collect("", tree.body, found)
        classes = frozenset(qualified for qualified, _ in found)
        bases = _functional_bases(tree, schema.Scope("", classes, imports))
        module: Module = {}
        for qualified, node in found:
            scope = schema.Scope(f"{qualified}.", classes, imports)
            fields: Fields = {}
            for base in node.bases:
                fields.update(bases.get(base.id, {}) if isinstance(base, ast.Name) else {})
            for item in node.body:
                if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
                    continue
                if item.target.id not in _NO_FIELDS:
                    fields[item.target.id] = _field(item.annotation, scope)
            module[qualified] = fields
        return module


@functools.lru_cache(maxsize=1)
def installed() -> Spec:
    """The spec of the installed SDK, one for the whole process."""
    return Spec()


def _default_cache() -> Path:
    return Path(tempfile.gettempdir()) / f"refill-stripe-spec-{os.getuid()}"


def _reader_digest() -> str:
    sources = (Path(__file__), Path(schema.__file__))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("^" + re.sub(r"\{[^}]+\}", "[^/]+", template) + "$")


def _assigned(node: ast.Assign) -> str:
    target = node.targets[0]
    return target.id if isinstance(target, ast.Name) else ""


def _field(annotation: ast.expr, scope: schema.Scope) -> dict[str, Node | bool]:
    node, required = schema.parse(annotation, scope)
    return {"node": node, "required": required}


def _imports(tree: ast.Module) -> dict[str, str]:
    return {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("stripe")
        for alias in node.names
    }


def _collect(prefix: str, body: list[ast.stmt], found: list[tuple[str, ast.ClassDef]]) -> None:
    for node in body:
        if isinstance(node, ast.ClassDef):
            found.append((f"{prefix}{node.name}", node))
            _collect(f"{prefix}{node.name}.", node.body, found)


def _functional_bases(tree: ast.Module, scope: schema.Scope) -> dict[str, Fields]:
    """`_Base = TypedDict("_Base", {"from": ...})`: how the SDK writes fields named like keywords."""
    bases: dict[str, Fields] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and len(node.value.args) > 1:
            fields = node.value.args[1]
            if isinstance(fields, ast.Dict):
                bases[_assigned(node)] = {
                    ast.literal_eval(key): _field(value, scope)
                    for key, value in zip(fields.keys, fields.values, strict=True)
                    if key is not None
                }
    return bases


def _operation(function: ast.FunctionDef, imports: dict[str, str]) -> dict[str, dict[str, str]]:
    for call in ast.walk(function):
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "_request"
        ):
            verb, target = call.args[0], call.args[1]
            template = (
                target.func.value
                if isinstance(target, ast.Call) and isinstance(target.func, ast.Attribute)
                else target
            )
            if isinstance(verb, ast.Constant) and isinstance(template, ast.Constant):
                params = _params_class(function)
                entry = {"params": params, "module": imports[params]} if params in imports else {}
                return {f"{verb.value!s} {template.value!s}": entry}
    return {}


def _params_class(function: ast.FunctionDef) -> str:
    for argument in function.args.args:
        if argument.arg == "params" and argument.annotation is not None:
            found = re.search(r"(\w+Params)\b", ast.unparse(argument.annotation))
            return found.group(1) if found else ""
    return ""
