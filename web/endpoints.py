"""The declarative layer: an endpoint states its method, path, who may call it and models once.

`@Endpoint(...)` puts it into REGISTRY; `register` makes Flask views of it that authenticate, validate, call
and answer; web/openapi.py describes the same registry. A handler gets a Call and answers what the answer
model takes, or a Response.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, g, request
from pydantic import BaseModel, ValidationError
from werkzeug.routing import BaseConverter

from shared.errors import Refused
from shared.member_models import Role
from shared.models import ApiKey
from web import bodies
from web.auth import authenticate, require_scope
from web.problems import invalid_request
from web.services import Services, services
from web.tokens import Member

log = logging.getLogger(__name__)
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
    """What an API key needs. None: no API key gets in."""
    member_role: Role | None = None
    """What a member needs in the account. None: no member gets in. Neither of the two: public."""
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
    key: ApiKey | None = None
    member: Member | None = None
    account: str | None = None
    """The account that was found to be meant; see account_id."""
    params: Any = None
    body: Any = None
    query: Any = None

    @property
    def api_key(self) -> ApiKey:
        """The key of an endpoint that lets no member in."""
        if self.key is None:
            raise RuntimeError(f"{self.endpoint.path} is not for API keys alone")
        return self.key

    @property
    def person(self) -> Member:
        """The member of an endpoint that lets no API key in."""
        if self.member is None:
            raise RuntimeError(f"{self.endpoint.path} is not for members alone")
        return self.member

    @property
    def actor(self) -> str:
        """Who calls, for the audit log and the record of consents."""
        if self.member:
            return f"member:{self.member.user_id}"
        return f"api_key:{self.key['name']}" if self.key else "anonymous"

    @property
    def caller(self) -> str:
        """Within which ids of requests are unique. A member's are unique in each account."""
        if self.member:
            return f"member:{self.member.user_id}:{self.account}"
        return f"api_key:{self.key['id']}" if self.key else "anonymous"

    def respond(self, content: Any, status: int = 200) -> Response:
        """An answer with another status than 200, or one that is to be kept."""
        return respond(self.endpoint, content, status)

    def limit(self, action: str) -> None:
        """Counts a hit of the account, the address and the member; Refused rate_limited."""
        member = self.member.user_id if self.member else None
        self.services.limiter.check(action, self.account or "", request.remote_addr, member)

    def account_id(self, given: str | None) -> str:
        """The account that the call is about: the caller's own, or the one it names.

        Refused: account_required, unknown_account for those of others, role_missing when a member may not do this.
        """
        try:
            self.account = self._bound(given) if self.member is None else self._own(self.member, given)
        except Refused as refusal:
            log.warning("refused: %s", refusal.code, extra={"actor": self.actor, "account": given})
            raise
        g.account_id = self.account
        return self.account

    def _own(self, member: Member, given: str | None) -> str:
        needed = self.endpoint.member_role
        if needed is None:
            raise RuntimeError(f"{self.endpoint.path} lets no member in")
        return self.services.memberships.resolve(member.user_id, given, needed)[0]

    def _bound(self, given: str | None) -> str:
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
        call = Call(declared, services())
        if declared.scope is not None or declared.member_role is not None:
            _identify(call)
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


def _identify(call: Call) -> None:
    """Who calls, and whether such a caller gets in at all. A member's role is looked up with the account."""
    found = authenticate(call.services.keyring, call.services.tokens, request.headers.get("Authorization"))
    if isinstance(found, Member):
        call.member = found
        if call.endpoint.member_role is None:
            raise Refused("Only API keys may do this.", code="role_missing", status=403, role=None)
    else:
        call.key = found
        if call.endpoint.scope is None:
            raise Refused("Only members may ask this.", code="scope_missing", status=403, scope=None)
        require_scope(found, call.endpoint.scope)


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
