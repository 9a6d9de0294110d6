"""Endpoints of webhooks out: registering, testing, rolling secrets, what was delivered, replay."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response, request
from pydantic import AfterValidator, Field, StringConstraints

from shared import keys, notices, queue, webhook_urls
from web import idempotency
from web.api.queries import AccountQuery, Page
from web.endpoints import Call, Endpoint
from web.fields import Answer, Body, Instant, Text, numbered

_TAG = "webhooks"
_PATH = "/api/billing/webhook-endpoints"


def _known(topic: str) -> str:
    if topic not in notices.ACCOUNT_TOPICS:
        raise ValueError("not a topic of webhooks")
    return topic


Topic = Annotated[
    str, AfterValidator(_known), Field(json_schema_extra={"enum": notices.ACCOUNT_TOPICS})
]  # fmt: skip


class NewEndpoint(Body):
    """Where webhooks go. Without account_id an unbound key registers it for every account."""

    account_id: Text | None = None
    url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=webhook_urls.LENGTH_MAX,
            examples=["https://platform.example/hooks/refill"],
        ),
    ]
    topics: Annotated[
        list[Topic] | None,
        Field(
            min_length=1, max_length=len(notices.ACCOUNT_TOPICS), description="null: all, also those to come."
        ),
    ] = None


class EndpointPath(Body):
    """An endpoint by its id."""

    id: Annotated[str, StringConstraints(pattern=r"^whe_[0-9a-f]{32}$")]


class Replay(Body):
    """From when on."""

    since: Annotated[Instant, Field(description="At most 30 days ago.")]


class DeliveryQuery(Body):
    """A page of a list, newest first."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Text | None = None


class WebhookEndpoint(Answer):
    """An endpoint, without its secret."""

    id: str
    account_id: Annotated[str | None, Field(description="null: notices of every account.")]
    url: str
    topics: Annotated[list[str] | None, Field(description="null: all.")]
    enabled: bool
    disabled_reason: Annotated[
        str | None, Field(description="gone (it answered 410) or failing (for five days).")
    ]
    failing_since: str | None
    created_at: str


class WithSecret(WebhookEndpoint):
    """An endpoint with its signing secret, which is shown only now."""

    secret: Annotated[
        str | None, Field(description="null: a repeat of the request. Roll it if the first answer was lost.")
    ]


class WebhookEndpoints(Page):
    """The endpoints that the key may manage, oldest first."""

    data: list[WebhookEndpoint]


class Delivery(Answer):
    """One notice for one endpoint."""

    id: numbered("del")  # type: ignore[valid-type]  # a type made by a function
    webhook_id: Annotated[str, Field(description="The header webhook-id.")]
    account_id: str | None
    topic: str
    state: Annotated[str, Field(description="pending, sent, skipped or failed.")]
    reason: Annotated[
        str | None, Field(description="Of the last failure: http_500, timeout, no_connection and so on.")
    ]
    attempts: int
    created_at: str
    sent_at: str | None
    next_attempt_at: str | None


class Deliveries(Page):
    """What was sent to an endpoint, or is to be, newest first."""

    data: list[Delivery]


class Replayed(Answer):
    """How many notices are due again."""

    replayed: int


@Endpoint(
    "POST",
    _PATH,
    summary="Register an endpoint of webhooks",
    tag=_TAG,
    scope="admin",
    body=NewEndpoint,
    example={"url": "https://platform.example/hooks/refill", "topics": ["balance.low", "topup.paused"]},
    answer=WithSecret,
    statuses=(201,),
    errors=(
        "unknown_account",
        "invalid_value",
        "state_conflict",
        "idempotency_conflict",
        "invalid_idempotency_key",
    ),
)
def create(call: Call) -> Response:
    """The answer has the secret that signs, this once. A key that is bound to an account hears of that account alone."""
    body: NewEndpoint = call.body
    url = webhook_urls.check(call.services.settings, body.url)
    topics = None if body.topics is None else sorted(set(body.topics))
    made = idempotency.Attempt(call.caller, idempotency.header_key()).id("whe")
    secret = keys.new_webhook_secret()
    endpoint = call.services.ledger.create_webhook_endpoint(
        made, _owner(call, body.account_id), url, topics, secret, call.actor
    )
    return call.respond({**endpoint, "secret": secret if endpoint["is_new"] else None}, 201)


@Endpoint(
    "GET",
    _PATH,
    summary="Endpoints of webhooks",
    tag=_TAG,
    scope="admin",
    query=AccountQuery,
    answer=WebhookEndpoints,
    errors=("unknown_account",),
)
def index(call: Call) -> Any:
    """All of them, or those of one account. A bound key sees its own."""
    found = call.services.ledger.list_webhook_endpoints(_owner(call, call.query.account_id))
    return {"data": found, "next_cursor": None}


@Endpoint(
    "DELETE",
    _PATH + "/{id}",
    summary="Delete an endpoint",
    tag=_TAG,
    scope="admin",
    params=EndpointPath,
    answer=WebhookEndpoint,
    errors=("not_found",),
)
def delete(call: Call) -> Any:
    """Nothing is sent to it any more; what waits is skipped."""
    return call.services.ledger.delete_webhook_endpoint(call.params.id, _owner(call), call.actor)


@Endpoint(
    "POST",
    _PATH + "/{id}/enable",
    summary="Switch an endpoint on again",
    tag=_TAG,
    scope="admin",
    params=EndpointPath,
    answer=WebhookEndpoint,
    errors=("not_found",),
)
def enable(call: Call) -> Any:
    """After its failures had switched it off. What it missed is sent by a replay."""
    return call.services.ledger.enable_webhook_endpoint(call.params.id, _owner(call), call.actor)


@Endpoint(
    "POST",
    _PATH + "/{id}/test",
    summary="Send webhook.test",
    tag=_TAG,
    scope="admin",
    params=EndpointPath,
    answer=Delivery,
    statuses=(201,),
    errors=("not_found", "state_conflict", "rate_limited"),
)
def test(call: Call) -> Response:
    """Sends it at once; the deliveries tell what became of it."""
    owner = _owner(call)
    call.services.limiter.check("webhook_test", owner or "", request.remote_addr)
    delivery = call.services.ledger.test_webhook_endpoint(call.params.id, owner, keys.new_id("test"))
    call.services.queue.hint(queue.SEND_NOTICE, delivery["id"])
    return call.respond(_shown(delivery), 201)


@Endpoint(
    "POST",
    _PATH + "/{id}/roll-secret",
    summary="A new signing secret",
    tag=_TAG,
    scope="admin",
    params=EndpointPath,
    answer=WithSecret,
    errors=("not_found",),
)
def roll(call: Call) -> Any:
    """The secret before signs beside the new one for 24 hours; the one before that no more."""
    secret = keys.new_webhook_secret()
    endpoint = call.services.ledger.roll_webhook_secret(call.params.id, _owner(call), secret, call.actor)
    return {**endpoint, "secret": secret}


@Endpoint(
    "GET",
    _PATH + "/{id}/deliveries",
    summary="What was sent to an endpoint",
    tag=_TAG,
    scope="admin",
    params=EndpointPath,
    query=DeliveryQuery,
    answer=Deliveries,
    errors=("not_found", "invalid_value"),
)
def deliveries(call: Call) -> Any:
    """And what is to be, with the reason of the last failure and when it is tried again."""
    query: DeliveryQuery = call.query
    page = call.services.ledger.list_webhook_deliveries(
        call.params.id, _owner(call), query.limit, query.cursor
    )
    return {**page, "data": [_shown(row) for row in page["data"]]}


@Endpoint(
    "POST",
    _PATH + "/{id}/replay",
    summary="Send what never arrived",
    tag=_TAG,
    scope="admin",
    params=EndpointPath,
    body=Replay,
    example={"since": "2026-11-20T00:00:00Z"},
    answer=Replayed,
    errors=("not_found", "invalid_value", "state_conflict"),
)
def replay(call: Call) -> Any:
    """What failed, what came while the endpoint was off, and what came before it was registered. Nothing is sent twice."""
    since = call.body.since
    topics = notices.ACCOUNT_TOPICS
    due = call.services.ledger.replay_webhooks(call.params.id, _owner(call), since, topics, call.actor)
    return {"replayed": due}


def _owner(call: Call, given: str | None = None) -> str | None:
    """Whose endpoints the call is about: the account of the key or the one it names; None: the platform's, so all."""
    if given is None and call.api_key["account_id"] is None:
        return None
    return call.account_id(given)


def _shown(delivery: Any) -> Any:
    return {**delivery, "webhook_id": keys.webhook_id(delivery["notice_id"])}
