"""Promises of every page, by the map of routes: few database calls, one strict policy, and nothing of anybody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
import stripe
from flask import Flask
from flask.testing import FlaskClient

from local.stripe.app import LocalStripe
from shared import invite_links, pay_links
from shared.ledger import Ledger
from shared.queue import Queue
from shared.seals import Sealer
from shared.settings import Settings
from shared.stripe_client import StripeGateway
from tests.web.browsing import OPERATOR, token_of
from tests.web.conftest import Counts, make_settings
from tests.web.test_account_pages import CALLS_MAX, counted
from tests.web.test_money_pages import BUY, TOPUP, Browser, add_card
from web import create_app
from web.local_login import login_url, operator_url
from web.security import payment_policy

CHECKOUT, PORTAL = "https://checkout.stripe.com", "https://billing.stripe.com"
STRIPE_JS = {"https://js.stripe.com", "https://*.js.stripe.com"}
STRICT = {
    "default-src": {"'self'"},
    "script-src": {"'self'"},
    "style-src": {"'self'"},
    "img-src": {"'self'", "data:"},
    "object-src": {"'none'"},
    "base-uri": {"'none'"},
    "form-action": {"'self'", CHECKOUT, PORTAL},
    "frame-ancestors": {"'none'"},
}
WITH_STRIPES_FORM = {
    "/billing/buy/<payment_id>",
    "/billing/payment-methods/add/<intent_id>",
    "/billing/pay/<token>",
}
PAGES = re.compile(r"/$|/(billing|sign-in|ops|docs|local)(/|$)|.*\.csv$")


@pytest.fixture(scope="module")
def server() -> Iterator[LocalStripe]:
    with LocalStripe.start() as made:
        yield made


@pytest.fixture
def settings(dsn: str, redis_url: str, server: LocalStripe) -> Settings:
    return make_settings(
        dsn, redis_url, STRIPE_API_BASE=server.url, STRIPE_PUBLISHABLE_KEY="pk_test_web", OPERATORS=OPERATOR
    )


@pytest.fixture
def at_stripe(server: LocalStripe) -> stripe.StripeClient:
    server.control.reset()
    return stripe.StripeClient("sk_test_web", base_addresses={"api": server.url})


@pytest.fixture
def app(settings: Settings, ledger: Ledger, queue: Queue, at_stripe: stripe.StripeClient) -> Flask:
    gateway = StripeGateway(at_stripe, Sealer("test sealing key"))
    return create_app(settings, ledger=ledger, queue=queue, gateway=gateway)


@pytest.fixture
def owner(app: Flask, settings: Settings, acme: str) -> Browser:
    return Browser(_enter(app, login_url(settings, acme)))


def _enter(app: Flask, link: str) -> FlaskClient:
    browser, url = app.test_client(), urlsplit(link)
    assert browser.get(f"{url.path}?{url.query}").status_code == 303
    return browser


@pytest.fixture
def filled(
    owner: Browser, ledger: Ledger, settings: Settings, at_stripe: stripe.StripeClient
) -> dict[str, str]:
    """Where routes with arguments lead, in an account that has a little of everything."""
    for number in range(12):
        ledger.spend_credits(
            "acme", {"id": f"e{number}", "action": "chat", "agent": f"a{number}", "run_id": "r"}
        )
        ledger.place_hold("acme", {"id": f"h{number}", "amount": 1_000_000})
        limit = {
            "scope": "agent",
            "scope_id": f"a{number}",
            "window": "day",
            "credits": 9_000_000,
            "hard": True,
        }
        ledger.set_limit("acme", limit, "tests")
    card = add_card(owner, at_stripe)
    owner.post("/billing/auto-topup", **TOPUP | {"card": card})
    token = token_of(owner.get("/billing").text)
    setup = owner.client.post(
        "/billing/payment-methods/add", data={"csrf_token": token, "request_id": "form_" + "1" * 32}
    ).location
    bought, open_order = (
        owner.post("/billing/buy/pay", **BUY | {"package_id": package}).location
        for package in ("credits_100", "credits_250")
    )
    waits = bought.rpartition("/")[2]
    ledger.await_card_holder(waits)
    ledger.record_stripe_event("evt_1", "x.y", "pi_1", False, "v", b"{}", 1_795_000_000, "odd")
    payment = open_order.rpartition("/")[2]
    made = "&".join(f"{name}={value}" for name, value in (TOPUP | {"card": card}).items())
    pay = pay_links.pay_url(settings, waits).removeprefix(settings.base_url)
    returned = pay_links.return_url(settings, payment).removeprefix(settings.base_url)
    ledger.invite_member("inv_1", "acme", "new@example.com", "admin", "tests")
    invitation = invite_links.invite_url(settings, "acme", "inv_1").removeprefix(settings.base_url)
    return {
        "/billing/success": f"/billing/success?payment={payment}",
        "/billing/failure": f"/billing/failure?payment={payment}",
        "/billing/buy": "/billing/buy?package_id=credits_250&quantity=2",
        "/billing/usage": "/billing/usage?only=agent&name=a1&by=run",
        "/billing/auto-topup/review": f"/billing/auto-topup/review?{made}",
        "/billing/buy/<payment_id>": open_order,
        "/billing/payment-methods/add/<intent_id>": setup,
        "/billing/payment-methods/added/<intent_id>": setup.replace("/add/", "/added/"),
        "/billing/payment-methods/<method_id>/remove": f"/billing/payment-methods/{card}/remove",
        "/billing/pay/<token>": pay,
        "/billing/invitations/<token>": invitation,
        "/billing/return/<token>": returned,
        "/billing/return/<token>/canceled": f"{returned}/canceled",
        "/ops/payments/<payment_id>": f"/ops/payments/{waits}",
        "/billing/pay/<token>/done": f"{pay}/done",
        "/sign-in/with/<provider>": "/sign-in/with/github",
        "/ops/events/<event_id>": "/ops/events/evt_1",
        "/ops/accounts/<account_id>": "/ops/accounts/acme",
    }


def every_page(app: Flask, filled: dict[str, str]) -> dict[str, str]:
    """Each GET route of the pages with its address; one with arguments that nothing here fills fails."""
    found = {}
    for rule in app.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and PAGES.match(rule.rule):
            found[rule.rule] = filled.get(rule.rule, rule.rule)
            assert "<" not in found[rule.rule], f"{rule.rule} has no row here"
    return found


def policy_of(headers: list[str]) -> dict[str, set[str]]:
    (policy,) = headers
    directives = [directive.split() for directive in policy.split(";")]
    assert len({name for name, *_ in directives}) == len(directives), (
        "a second one of a name counts for nothing"
    )
    return {name: set(sources) for name, *sources in directives}


class Resources(HTMLParser):
    """What a document loads, sends to or runs."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        names = ("src", "action", "formaction", "hx-get", "hx-post", "srcset", "data", "poster")
        self.loads += [str(given[name]) for name in names if name in given]
        if tag == "link":
            self.loads.append(str(given["href"]))


def test_no_page_makes_more_than_eight_database_calls(
    app: Flask, settings: Settings, owner: Browser, filled: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, asked = _enter(app, operator_url(settings, OPERATOR)), {}
    for rule, address in every_page(app, filled).items():
        browser = operator if rule.startswith("/ops") else owner.client
        with counted(monkeypatch) as made:
            answer = browser.get(address)
            answer.get_data()
        assert answer.status_code < 500, rule
        assert len(made) <= CALLS_MAX, (rule, made)
        asked[rule] = (answer.status_code, len(made))
    whole = [rule for rule, (status, calls) in asked.items() if status == 200 and calls]
    assert len(whole) > 30, asked
    assert {rule for rule, (status, _) in asked.items() if status >= 400} == {
        "/local/login", "/local/operator", "/sign-in/callback", "/sign-in/with/<provider>",
    }  # fmt: skip


def test_every_page_has_one_strict_policy_and_loads_nothing_of_anybody_else(
    app: Flask, settings: Settings, owner: Browser, filled: dict[str, str], server: LocalStripe
) -> None:
    operator, nobody, documents = _enter(app, operator_url(settings, OPERATOR)), app.test_client(), 0
    strict = STRICT | {"form-action": {"'self'", server.url}}
    for rule, address in every_page(app, filled).items():
        browser = operator if rule.startswith("/ops") else nobody if rule == "/sign-in" else owner.client
        answer = browser.get(address)
        form = rule in WITH_STRIPES_FORM
        extra = {
            "script-src": {"'self'", server.url},
            "frame-src": {server.url},
            "connect-src": {"'self'", server.url},
        }
        wanted = strict | (extra if form else {})
        assert policy_of(answer.headers.getlist("Content-Security-Policy")) == wanted, rule
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"
        if answer.mimetype != "text/html" or answer.status_code != 200:
            continue
        documents += 1
        found = Resources(answer.text)
        assert found.inline == [], rule
        theirs = [url for url in found.loads if not re.match(r"/(?!/)|\?|#", url)]
        assert all(url.startswith(f"{server.url}/") for url in theirs), (rule, theirs)
        assert len(theirs) == int(form), (rule, theirs)
    assert documents > 30


def test_86_every_form_of_every_page_wants_its_token(
    app: Flask, settings: Settings, owner: Browser, filled: dict[str, str], money: Counts, server: LocalStripe
) -> None:
    operator, tried = _enter(app, operator_url(settings, OPERATOR)), 0
    before, asked = money(), len(server.control.requests())
    for rule in app.url_map.iter_rules():
        if "POST" not in (rule.methods or ()) or not re.match(r"/(billing|sign-in|ops)(/|$)", rule.rule):
            continue
        browser = operator if rule.rule.startswith("/ops") else owner.client
        address = re.sub("<[^>]+>", "x", rule.rule)
        for token in ({}, {"csrf_token": ""}, {"csrf_token": "wrong"}):
            answer = browser.post(address, data=BUY | TOPUP | token)
            assert answer.status_code == 400, rule.rule
            assert "This form is too old" in answer.text
        tried += 1
    assert tried > 35
    assert money() == before
    assert len(server.control.requests()) == asked
    assert owner.get("/billing").status_code == 200


def test_in_production_stripes_own_origins_are_the_only_others(dsn: str, redis_url: str) -> None:
    app = create_app(
        make_settings(dsn, redis_url, REFILL_ENV="production", BASE_URL="https://refill.example")
    )
    for path in ("/sign-in", "/healthz", "/docs", "/static/refill.css", "/nothing", "/api/nothing"):
        answer = app.test_client().get(path)
        assert policy_of(answer.headers.getlist("Content-Security-Policy")) == STRICT, path
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


def test_the_policy_of_stripes_form_is_as_stripe_documents_it(dsn: str, redis_url: str) -> None:
    """docs.stripe.com/security/guide#content-security-policy."""
    assert policy_of([payment_policy(make_settings(dsn, redis_url))]) == STRICT | {
        "script-src": {"'self'"} | STRIPE_JS,
        "frame-src": STRIPE_JS | {"https://hooks.stripe.com"},
        "connect-src": {"'self'", "https://api.stripe.com"},
    }
