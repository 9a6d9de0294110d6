"""The webhook receiver: verify the bytes, keep the event, enqueue its id, answer 200.

Nothing else happens here.
"""

from __future__ import annotations

import logging
import time

from flask import Response, request

from shared import queue, stripe_webhook
from shared.errors import Refused
from web import bodies
from web.endpoints import Call, Endpoint

log = logging.getLogger(__name__)

PATHS = ("/api/webhooks/stripe", "/api/webhook/stripe", "/api/billing/stripe/webhook")


@Endpoint(
    "POST",
    PATHS[0],
    aliases=PATHS[1:],
    summary="Receive a Stripe event",
    tag="webhooks",
    raw=True,
    errors=(
        "invalid_signature",
        "invalid_event",
        "length_required",
        "body_too_large",
        "database_unavailable",
    ),
    body_schema={"type": "object", "description": "A Stripe event, signed in the header Stripe-Signature."},
)
def receive(call: Call) -> Response:
    """200 once the event is kept. 503 while the database is away: Stripe sends it again for three days."""
    body = bodies.read_body(request, bodies.WEBHOOK_BYTES_MAX)
    settings = call.services.settings
    try:
        stripe_webhook.verify(
            body, request.headers.get("Stripe-Signature"), settings.webhook_secrets, time.time()
        )
    except stripe_webhook.BadSignatureError as error:
        log.warning("webhook refused: %s", error)
        raise Refused(str(error), code="invalid_signature", status=400) from None
    try:
        event = stripe_webhook.read_event(body, live=settings.live)
    except stripe_webhook.BadPayloadError as error:
        log.error("a signed webhook could not be read: %s", error)  # noqa: TRY400
        raise Refused(str(error), code="invalid_event", status=400) from None
    if event.parked_reason:
        log.error("webhook event parked: %s", event.parked_reason, extra={"event": event.id})
    kept = call.services.ledger.record_stripe_event(
        event.id,
        event.type,
        event.object_id,
        event.livemode,
        event.api_version,
        body,
        event.occurred_at,
        event.parked_reason,
    )
    if kept["state"] == "received":
        call.services.queue.hint(queue.PROCESS_EVENT, event.id)
    return Response('{"received": true}', mimetype="application/json")
