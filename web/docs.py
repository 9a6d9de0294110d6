"""The API's documentation: the OpenAPI document, and the same document as a page."""

from __future__ import annotations

import functools
import json
from typing import Any

from flask import Response, render_template

from web import openapi
from web.endpoints import Call, Endpoint


@functools.lru_cache(maxsize=4)
def _document(base_url: str) -> dict[str, Any]:
    return openapi.build(base_url)


@Endpoint("GET", "/openapi.json", summary="This API as OpenAPI 3.1", tag="documentation", raw=True)
def show_document(call: Call) -> Response:
    """The document that this page is made from."""
    document = json.dumps(_document(call.services.settings.base_url))
    return Response(document, mimetype="application/json", headers={"Cache-Control": "public, max-age=60"})


@Endpoint("GET", "/docs", summary="This API as a page", tag="documentation", raw=True)
def show_page(call: Call) -> Response:
    """Every endpoint with its fields, answers and codes."""
    document = _document(call.services.settings.base_url)
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append(
                {"path": path, "method": method.upper(), **operation}
            )
    page = render_template(
        "docs.html", document=document, groups=groups, fields=functools.partial(_fields, document)
    )
    return Response(page, mimetype="text/html")


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The fields of a body or answer as rows of a table."""
    schema = _resolve(document, schema)
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "type": _type(document, field),
            "required": name in required,
            "description": field.get("description", ""),
            "default": field.get("default"),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema behind references; of several forms, the first."""
    while "$ref" in schema or ("anyOf" in schema and "properties" not in schema):
        if "anyOf" in schema:
            schema = schema["anyOf"][0]
        else:
            schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _type(document: dict[str, Any], field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"].rsplit("/", 1)[1])
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(document, option) for option in field["anyOf"]))
    if "enum" in field:
        return " or ".join(f'"{value}"' for value in field["enum"])
    if field.get("type") == "array":
        return f"array of {_type(document, field.get('items', {}))}"
    return str(field.get("type", field.get("const", "any")))
