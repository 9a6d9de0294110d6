"""The declarative layer: an endpoint states its method, path, scope and models once.

`@Endpoint(...)` puts it into REGISTRY; `register` makes Flask views of it that authenticate, validate, call
and answer; web/openapi.py describes the same registry. A handler gets a Call and answers what the answer
model takes, or a Response.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, request
from pydantic import BaseModel, ValidationError
from werkzeug.routing import BaseConverter

from shared.errors import Refused
from shared.models import ApiKey
from web import bodies
from web.auth import require_scope
from web.problems import invalid_request
from web.services import Services, services

Handler = Callable[["Call"], Any]


@dataclass(slots=True)
class Endpoint:
    """One operation of the API, and the decorator that declares its handler."""

    method: str
    path: str
    """As OpenAPI writes it: the names of `params` stand in braces."""
    summary: str
    tag: str
    scope: str | None = None
    params: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_optional: bool = False
    """No body at all means the same as `{}`."""
    query: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    errors: tuple[str, ...] = ()
    """Codes to document, beside those that follow from scope and body."""
    raw: bool = False
    """The handler reads the request and answers a Response itself."""
    bytes_max: int = bodies.API_BYTES_MAX
    aliases: tuple[str, ...] = ()
    statuses: tuple[int, ...] = (200,)
    content_types: tuple[str, ...] = ("application/json",)
    also_answers: tuple[str, ...] = ()
    """Media types of answers that are not JSON."""
    body_schema: dict[str, Any] | None = None
    schemas: tuple[type[BaseModel], ...] = ()
    example: dict[str, Any] | None = None
    handler: Handler = field(init=False)

    def __call__(self, handler: Handler) -> Handler:
        """Declares the handler."""
        self.handler = handler
        REGISTRY.append(self)
        return handler


REGISTRY: list[Endpoint] = []


@dataclass(slots=True)
class Call:
    """One request that was authenticated and validated.

    `params`, `body` and `query` are instances of the endpoint's models.
    """

    endpoint: Endpoint
    services: Services
    key: ApiKey | None
    params: Any = None
    body: Any = None
    query: Any = None

    @property
    def api_key(self) -> ApiKey:
        """The key of an endpoint that has a scope."""
        if self.key is None:
            raise RuntimeError(f"{self.endpoint.path} has no scope")
        return self.key

    @property
    def actor(self) -> str:
        """Who calls, for the audit log."""
        return f"api_key:{self.key['name']}" if self.key else "anonymous"

    @property
    def caller(self) -> str:
        """Within which ids of requests are unique."""
        return f"api_key:{self.key['id']}" if self.key else "anonymous"

    def respond(self, content: Any, status: int = 200) -> Response:
        """An answer with another status than 200, or one that is to be kept."""
        return respond(self.endpoint, content, status)

    def account_id(self, given: str | None) -> str:
        """The account that the call is about: the key's own, or the one it names."""
        bound = self.key["account_id"] if self.key else None
        if bound is None:
            if given is None:
                raise Refused(
                    "This API key is bound to no account: name one in account_id.", code="account_required"
                )
            return given
        if given is not None and given != bound:
            raise Refused("There is no such account.", code="unknown_account", status=404)
        return bound


class _Anything(BaseConverter):
    """A part of a path that callers choose: whatever was encoded in it, slashes too."""

    regex = "(?s:.+)"
    part_isolating = False


def register(app: Flask) -> None:
    """Makes a view of every declared endpoint."""
    app.url_map.converters["anything"] = _Anything
    for declared in REGISTRY:
        view = _view(declared)
        for path in (declared.path, *declared.aliases):
            rule = path.replace("{", "<anything:").replace("}", ">")
            app.add_url_rule(rule, f"{declared.method} {path}", view, methods=[declared.method])


def _view(declared: Endpoint) -> Callable[..., Response]:
    def view(**params: str) -> Response:
        call = Call(declared, services(), None)
        if declared.scope is not None:
            call.key = call.services.keyring.authenticate(request.headers.get("Authorization"))
            require_scope(call.key, declared.scope)
        if declared.params is not None:
            call.params = _validated(declared.params, params)
        if declared.query is not None or request.query_string:
            call.query = _query(declared)
        if declared.raw:
            return declared.handler(call)  # type: ignore[no-any-return]
        if declared.body is not None:
            call.body = _body(declared, declared.body)
        result = declared.handler(call)
        return result if isinstance(result, Response) else respond(declared, result)

    return view


def _query(declared: Endpoint) -> BaseModel | None:
    """The query's fields; each may stand once.

    Numbers are written in digits there, so this is not strict about types.
    """
    if declared.query is None:
        return None
    given = request.args.to_dict(flat=False)
    return _validated(
        declared.query,
        {name: values[0] if len(values) == 1 else values for name, values in given.items()},
        strict=False,
    )


def _body(declared: Endpoint, model: type[BaseModel]) -> BaseModel:
    if declared.body_optional and not request.content_length and "Transfer-Encoding" not in request.headers:
        return _validated(model, {})
    if not bodies.is_json(request):
        raise Refused("Send application/json.", code="unsupported_media_type", status=415)
    return _validated(model, bodies.parse_json(bodies.read_body(request, declared.bytes_max)))


def _validated(model: type[BaseModel], given: Any, *, strict: bool | None = None) -> BaseModel:
    try:
        return model.model_validate(given, strict=strict)
    except ValidationError as error:
        raise invalid_request(error) from None


def respond(declared: Endpoint, content: Any, status: int = 200) -> Response:
    """The answer model's JSON of what the ledger said."""
    if declared.answer is None:
        raise RuntimeError(f"{declared.path} states no answer")
    model = declared.answer.model_validate(content)
    return Response(model.__pydantic_serializer__.to_json(model), status=status, mimetype="application/json")
