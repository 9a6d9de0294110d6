"""The OpenAPI 3.1 document, made from the registry of endpoints and the models that check requests."""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared import stripe_refusals
from shared.errors import REFUSALS
from shared.version import VERSION
from web import refusals
from web.endpoints import REGISTRY, Endpoint

_REF = "#/components/schemas/{model}"
_DESCRIPTION = """Prepaid credits and automatic top-up for AI-agent platforms.

Credits are decimal strings ("12.5"), money is `{"amount": 500, "currency": "usd"}` in minor units. A key that
is bound to an account acts for it; an unbound one names the account in `account_id`. A member's access token acts for
the member's account, or for the one in `account_id` when there are several. Errors are problem documents (RFC 9457)
whose `code` is stable. A revoked key, and a role that was taken away, stop working within five seconds."""
# Codes that endpoints name, beyond the ledger's refusals.
CODES: dict[str, int] = dict(REFUSALS.values()) | {
    "unauthenticated": 401,
    "scope_missing": 403,
    "role_missing": 403,
    "key_bound": 403,
    "identity_unavailable": 503,
    "malformed_json": 400,
    "invalid_request": 422,
    "unsupported_media_type": 415,
    "body_too_large": 413,
    "length_required": 411,
    "database_unavailable": 503,
    "account_required": 422,
    "too_many_events": 422,
    "idempotency_key_reused": 422,
    "idempotency_key_expired": 409,
    "invalid_idempotency_key": 400,
    "request_in_flight": 409,
    "rate_limited": 429,
    "stripe_unavailable": 503,
    "stripe_busy": 503,
    **{code: refusal.status for code, refusal in stripe_refusals.ANSWERS.items()},
    **refusals.CODES,
    "invalid_signature": 400,
    "invalid_event": 400,
    "not_ready": 503,
}
_CALLERS = (
    "unauthenticated",
    "scope_missing",
    "role_missing",
    "identity_unavailable",
    "database_unavailable",
)
_EVERY_BODY = (
    "malformed_json",
    "unsupported_media_type",
    "body_too_large",
    "length_required",
    "invalid_request",
)
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `code` is for programs, `detail` for people; others are facts.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def build(base_url: str) -> dict[str, Any]:
    """The document for a server at base_url."""
    schemas = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for declared in REGISTRY:
        for path in (declared.path, *declared.aliases):
            paths.setdefault(path, {})[declared.method.lower()] = _operation(declared, path)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Refill", "version": VERSION, "description": _DESCRIPTION},
        "servers": [{"url": base_url}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key: rk_ and 48 digits.",
                },
                "member": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A member's access token of Supabase Auth.",
                },
            },
        },
    }


def _schemas() -> dict[str, Any]:
    inputs = {model for e in REGISTRY for model in (e.body, *e.schemas) if model}
    outputs = {e.answer for e in REGISTRY if e.answer}
    ordered = (
        sorted(inputs, key=lambda model: model.__name__),
        sorted(outputs, key=lambda model: model.__name__),
    )
    _, document = models_json_schema(
        [(model, "validation") for model in ordered[0]] + [(model, "serialization") for model in ordered[1]],
        ref_template=_REF,
    )
    return {**document.get("$defs", {}), "Problem": _PROBLEM}


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _operation(declared: Endpoint, path: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": declared.method.lower() + re.sub("[^a-z]+", "_", path).rstrip("_"),
        "summary": declared.summary,
        "description": _description(declared),
        "tags": [declared.tag],
        "responses": _responses(declared),
    }
    if security := _security(declared):
        operation["security"] = security
    parameters = [
        *_parameters("path", declared.params),
        *_parameters("query", declared.query),
        *_header_parameters(declared),
    ]
    if parameters:
        operation["parameters"] = parameters
    if declared.body or declared.body_schema:
        schema = _ref(declared.body) if declared.body else declared.body_schema
        content: dict[str, Any] = {"schema": schema}
        if declared.example:
            content["example"] = declared.example
        operation["requestBody"] = {
            "required": not declared.body_optional,
            "content": {
                kind: content if kind == "application/json" else {"schema": schema}
                for kind in declared.content_types
            },
        }
    return operation


def _description(declared: Endpoint) -> str:
    text = inspect.cleandoc(declared.handler.__doc__ or "").replace("\n", " ")
    needs = [f"a key with scope `{declared.scope}`"] if declared.scope else []
    needs += [f"a member with role `{declared.member_role}`"] if declared.member_role else []
    return f"{text} Needs {' or '.join(needs)}." if needs else text


def _security(declared: Endpoint) -> list[dict[str, list[str]]]:
    ways = {"apiKey": declared.scope, "member": declared.member_role}
    return [{way: []} for way, needed in ways.items() if needed]


def _parameters(place: str, model: type[BaseModel] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    properties: dict[str, Any] = model.model_json_schema()["properties"]
    return [
        {
            "name": name,
            "in": place,
            "required": place == "path",
            "schema": schema,
            **({"description": schema["description"]} if "description" in schema else {}),
        }
        for name, schema in properties.items()
    ]


def _header_parameters(declared: Endpoint) -> list[dict[str, Any]]:
    if "invalid_idempotency_key" not in declared.errors:
        return []
    schema = {"type": "string", "minLength": 1, "maxLength": 255}
    return [{"name": "Idempotency-Key", "in": "header", "required": False, "schema": schema}]


def _responses(declared: Endpoint) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status in declared.statuses:
        responses[str(status)] = {"description": "Done."}
        if declared.answer:
            responses[str(status)]["content"] = {
                "application/json": {"schema": _ref(declared.answer)},
                **{kind: {"schema": {"type": "string"}} for kind in declared.also_answers},
            }
    codes = list(declared.errors)
    codes += refusals.OF_STRIPE if "stripe_busy" in declared.errors else ()
    codes += _CALLERS if _security(declared) else ()
    codes += _EVERY_BODY if declared.body or declared.body_schema else ()
    codes += ["invalid_request"]
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_status.setdefault(CODES[code], []).append(code)
    for status, names in sorted(by_status.items()):
        responses[str(status)] = {
            "description": ", ".join(f"`{name}`" for name in names),
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return responses
