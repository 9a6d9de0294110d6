"""Billing Portal: configurations, and sessions, which are links to a page of this server.

Without a saved default configuration, sessions are refused with Stripe's own sentence, as in an account whose portal
settings nobody has saved. Local mode starts with a saved one; `Config.portal` and the control API change that.
"""

from __future__ import annotations

from typing import Any

from local.stripe.engine import Call
from local.stripe.errors import invalid, missing_param
from local.stripe.lists import page
from local.stripe.resources.customers import living
from local.stripe.routing import changed, merge_metadata, route
from local.stripe.store import Obj, public

_KIND = "billing_portal.configuration"
_NOT_SAVED = (
    "No configuration provided and your test mode default configuration has not been created. Provide a configuration "
    "or create your default by saving your customer portal settings in test mode at "
    "https://dashboard.stripe.com/test/settings/billing/portal."
)


def _features() -> dict[str, Any]:
    return {
        "customer_update": {"allowed_updates": [], "enabled": False},
        "invoice_history": {"enabled": True},
        "payment_method_update": {"enabled": True, "payment_method_configuration": None},
        "subscription_cancel": {
            "cancellation_reason": {"enabled": False, "options": []},
            "enabled": True,
            "mode": "at_period_end",
            "proration_behavior": "none",
        },
        "subscription_pause": {"duration": {"interval_options": [], "type": "indefinite"}, "enabled": False},
        "subscription_update": {
            "billing_cycle_anchor": None,
            "default_allowed_updates": [],
            "enabled": False,
            "products": None,
            "proration_behavior": "none",
            "schedule_at_period_end": {"conditions": []},
            "trial_update_behavior": "end_trial",
        },
    }


def _build(call: Call, default: bool) -> Obj:
    return {
        "id": call.id("bpc"),
        "object": _KIND,
        "active": True,
        "application": None,
        "business_profile": {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None},
        "created": call.now(),
        "default_return_url": None,
        "features": _features(),
        "is_default": default,
        "livemode": False,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
        "name": None,
        "updated": call.now(),
    }


def default(call: Call) -> Obj | None:
    """The configuration that the Dashboard's portal settings saved; None when nobody has."""
    if not call.engine.store.setting("portal_saved", call.engine.config.portal):
        return None
    found = call.engine.store.select(_KIND, "json_extract(body, '$.is_default')", limit=1)
    return found[0] if found else call.put(_build(call, True))


def _apply(call: Call, configuration: Obj) -> None:
    params = call.params
    for name in ("business_profile", "login_page"):
        configuration[name].update(params.get(name) or {})
    for name in ("default_return_url", "name", "active"):
        if name in params:
            configuration[name] = params[name]
    for name, given in (params.get("features") or {}).items():
        configuration["features"][name].update(given)
    update = configuration["features"]["subscription_update"]
    for product in update["products"] or []:
        product["adjustable_quantity"] = {
            "maximum": None,
            "minimum": 1,
            **(product.get("adjustable_quantity") or {"enabled": True}),
        }
        for price in product["prices"]:
            if (
                call.get("price", price, "features[subscription_update][products]", 400)["product"]
                != product["product"]
            ):
                text = f"The price {price} does not belong to the product {product['product']}."
                raise invalid(text, "features[subscription_update][products]")
    if update["enabled"] and "price" in update["default_allowed_updates"] and not update["products"]:
        raise missing_param("features[subscription_update][products]")
    merge_metadata(configuration, params)
    configuration["updated"] = call.now()


@route("post", "/v1/billing_portal/configurations")
def create_configuration(call: Call) -> Obj:
    made = _build(call, False)
    _apply(call, made)
    call.put(made)
    call.emit("billing_portal.configuration.created", made)
    return made


@route("get", "/v1/billing_portal/configurations/{configuration}")
def retrieve_configuration(call: Call, configuration: str) -> Obj:
    return call.get(_KIND, configuration, "configuration")


@route("get", "/v1/billing_portal/configurations")
def list_configurations(call: Call) -> Obj:
    default(call)
    params = call.params
    url = "/v1/billing_portal/configurations"
    return page(call, _KIND, url, active=params.get("active"), is_default=params.get("is_default"))


@route("post", "/v1/billing_portal/configurations/{configuration}")
def update_configuration(call: Call, configuration: str) -> Obj:
    found = call.get(_KIND, configuration, "configuration")
    before = public(found)
    _apply(call, found)
    call.put(found)
    call.emit("billing_portal.configuration.updated", found, changed(before, public(found)))
    return found


@route("post", "/v1/billing_portal/sessions")
def create(call: Call) -> Obj:
    params = call.params
    if not params.get("customer"):
        raise missing_param("customer")
    customer = living(call, params["customer"])
    if params.get("configuration"):
        chosen: Obj | None = call.get(_KIND, params["configuration"], "configuration", 400)
    else:
        chosen = default(call)
    if chosen is None:
        raise invalid(_NOT_SAVED)
    id = call.id("bps")
    session: Obj = {
        "id": id,
        "object": "billing_portal.session",
        "configuration": chosen["id"],
        "created": call.now(),
        "customer": customer["id"],
        "customer_account": None,
        "flow": None,
        "livemode": False,
        "locale": params.get("locale"),
        "on_behalf_of": None,
        "return_url": params.get("return_url") or chosen["default_return_url"],
        "url": f"{call.engine.config.public_url}/portal/{id}",
    }
    call.put(session)
    call.emit("billing_portal.session.created", session)
    return session
