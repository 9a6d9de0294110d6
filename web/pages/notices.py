"""What the account is called and told: its name and address, mails, low balances, and webhooks to endpoints of its own."""

from __future__ import annotations

import re
from typing import Any

from flask import make_response, request
from werkzeug.wrappers import Response

from shared import credits, keys, notices, queue, webhook_urls
from shared.errors import Refused
from web.api.accounts import AccountEdit
from web.api.notices import LEVELS_MAX, LowLevels, NoticePreference, choose, topics
from web.api.webhook_endpoints import EndpointPath, NewEndpoint
from web.pages import frame
from web.pages.typed import Typed
from web.pages.visitors import Visitor, visitor
from web.services import services

PATH = "/billing/notices"
ENDPOINT_SENTENCES = {
    "url": f"Write the address of your server: https:// and up to {webhook_urls.LENGTH_MAX} characters.",
    "topics": "Choose some of these, or none.",
}

blueprint = frame.blueprint("notices")


@blueprint.get("/notices")
def show() -> str:
    """Every mail, the levels, and to admins the endpoints of webhooks."""
    return _page(visitor())


@blueprint.post("/notices/account")
@frame.action(PATH)
def account() -> str | Response:
    """Changes the account's name and where its mails go."""
    who, wanted = visitor("owner"), frame.filled_in(AccountEdit)
    services().ledger.edit_account(who.account_id, wanted.name, wanted.email, who.actor)
    return "Name and mail address are saved."


@blueprint.post("/notices/mail")
@frame.action(PATH)
def mail() -> str | Response:
    """Switches a mail on or off."""
    who, wish = visitor("admin"), frame.filled_in(NoticePreference)
    choose(services().ledger, who.account_id, wish, who.actor)
    what = notices.TOPICS[wish.topic].description.rstrip(".")
    return f"The mail “{what}” is switched {'on' if wish.enabled else 'off'}."


@blueprint.post("/notices/levels")
@frame.action(PATH)
def levels() -> str | Response:
    """Sets at which balances the account is told; none: never."""
    who, form = visitor("admin"), Typed.of(request.form, ("levels",))
    given = form.read("levels", _levels) or []
    checked = form.checked(LowLevels, {"levels": f"Write up to {LEVELS_MAX} levels."}, levels=given)
    if checked is None:
        return make_response(_page(who, levels_form=form), 422)
    wanted = checked.levels
    services().ledger.set_low_levels(who.account_id, wanted, who.actor)
    return "The levels are set." if wanted else "You are not told of low balances any more."


@blueprint.post("/notices/webhooks")
@frame.action(PATH)
def create() -> str | Response:
    """Registers an endpoint, and shows its secret this once. The form's own id makes a double click one endpoint."""
    who, request_id = visitor("admin"), request.form.get("request_id", "")
    if not request_id.startswith("form_"):
        raise Refused("The form was not complete. Reload the page and try again.")
    form, chosen = Typed.of(request.form, ("url",)), request.form.getlist("topics")
    wanted = form.checked(NewEndpoint, ENDPOINT_SENTENCES, **({"topics": chosen} if chosen else {}))
    if wanted is None:
        return make_response(_page(who, endpoint_form=form, chosen=chosen), 422)
    try:
        return _register(who, request_id, wanted)
    except Refused as refusal:
        if refusal.status not in frame.MENDABLE:
            raise
        form.faults["url"] = refusal.detail
        return make_response(_page(who, endpoint_form=form, chosen=chosen), 422)


def _register(who: Visitor, request_id: str, wanted: NewEndpoint) -> str | Response:
    url, secret = webhook_urls.check(services().settings, wanted.url), keys.new_webhook_secret()
    endpoint = services().ledger.create_webhook_endpoint(
        keys.derived_id("whe", who.account_id, request_id),
        who.account_id,
        url,
        None if wanted.topics is None else sorted(set(wanted.topics)),
        secret,
        who.actor,
    )
    if not endpoint["is_new"]:
        return "This endpoint is registered already. Roll its secret if you have not kept it."
    return Response(_page(who, secret=secret, of=url), mimetype="text/html")


@blueprint.post("/notices/webhooks/test")
@frame.action(PATH)
def test() -> str | Response:
    """Sends webhook.test to an endpoint."""
    who, endpoint = visitor("admin"), frame.filled_in(EndpointPath)
    services().limiter.check("webhook_test", who.account_id, request.remote_addr, who.user_id)
    delivery = services().ledger.test_webhook_endpoint(endpoint.id, who.account_id, keys.new_id("test"))
    services().queue.hint(queue.SEND_NOTICE, delivery["id"])
    return "webhook.test is on its way. Your server should see it within seconds."


@blueprint.post("/notices/webhooks/roll")
@frame.action(PATH)
def roll() -> str | Response:
    """A new secret, shown this once."""
    who, endpoint, secret = visitor("admin"), frame.filled_in(EndpointPath), keys.new_webhook_secret()
    rolled = services().ledger.roll_webhook_secret(endpoint.id, who.account_id, secret, who.actor)
    return Response(_page(who, secret=secret, of=rolled["url"], rolled=True), mimetype="text/html")


@blueprint.post("/notices/webhooks/enable")
@frame.action(PATH)
def enable() -> str | Response:
    """Switches an endpoint on again."""
    who, endpoint = visitor("admin"), frame.filled_in(EndpointPath)
    url = services().ledger.enable_webhook_endpoint(endpoint.id, who.account_id, who.actor)["url"]
    return f"{url} is on again. What it missed is not sent by itself."


@blueprint.post("/notices/webhooks/remove")
@frame.action(PATH)
def remove() -> str | Response:
    """Deletes an endpoint; what waits for it is skipped."""
    who, endpoint = visitor("admin"), frame.filled_in(EndpointPath)
    url = services().ledger.delete_webhook_endpoint(endpoint.id, who.account_id, who.actor)["url"]
    return f"Nothing is sent to {url} any more."


def _levels(text: str) -> list[str]:
    """The levels of a list with spaces between them, as the API takes them. ValueError: its text goes on after "Write".

    A comma with a space beside it ends a level; one within digits is refused: "100,200" might be one level or two.
    """
    given = re.sub(r",(?=\s|$)|(?<=\s),|;", " ", text).split()
    if any("," in part for part in given):
        raise ValueError("the levels with spaces between them and no commas in them, such as 1000 100 20")
    return [credits.to_text(credits.from_text(part)) for part in given]


def _page(who: Visitor, **more: Any) -> str:
    """The page. `more`: what is shown this once, a secret or a form that was refused."""
    ledger, account_id = services().ledger, who.account_id
    return frame.page(
        "billing/notices.html",
        "notices",
        topics=topics(ledger.get_notice_preferences(account_id)),
        levels=ledger.get_low_levels(account_id)["levels"],
        levels_max=LEVELS_MAX,
        endpoints=ledger.list_webhook_endpoints(account_id) if who.may("admin") else None,
        every_topic=notices.ACCOUNT_TOPICS,
        descriptions={name: notices.TOPICS[name].description for name in notices.ACCOUNT_TOPICS},
        request_id=keys.new_id("form"),
        **more,
    )
