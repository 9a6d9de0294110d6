"""Billing Portal sessions: a link to a page of this server."""

from __future__ import annotations

from local.stripe.engine import Call
from local.stripe.errors import missing_param
from local.stripe.resources.customers import living
from local.stripe.routing import route
from local.stripe.store import Obj


@route("post", "/v1/billing_portal/sessions")
def create(call: Call) -> Obj:
    params = call.params
    if not params.get("customer"):
        raise missing_param("customer")
    customer = living(call, params["customer"])
    id = call.id("bps")
    session: Obj = {
        "id": id,
        "object": "billing_portal.session",
        "configuration": "bpc_local",
        "created": call.now(),
        "customer": customer["id"],
        "customer_account": None,
        "flow": None,
        "livemode": False,
        "locale": params.get("locale"),
        "on_behalf_of": None,
        "return_url": params.get("return_url"),
        "url": f"{call.engine.config.public_url}/portal/{id}",
    }
    call.put(session)
    call.emit("billing_portal.session.created", session)
    return session
