"""Plans as a page, over the local Stripe: subscribing, coming back from Checkout, turning back."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
import stripe

from local.stripe.app import LocalStripe
from shared.ledger import Ledger
from shared.queue import CHECK_SUBSCRIPTION, Queue
from shared.seals import Sealer
from shared.settings import Settings
from shared.stripe_client import StripeGateway
from shared.stripe_subscriptions import facts_of_invoice, facts_of_subscription
from tests.support import Database
from tests.web.browsing import rows
from tests.web.conftest import Counts
from tests.web.test_money_pages import Browser, app, client_at_stripe, owner, server, settings
from web import create_app
from web.local_login import login_url

__all__ = ["app", "client_at_stripe", "owner", "server", "settings"]


def test_plan_is_subscribed_to_at_stripe_and_two_tabs_leave_one_open_session(
    owner: Browser, client_at_stripe: stripe.StripeClient
) -> None:
    page = owner.get("/billing/plans").text
    assert "separate from the credits" in page
    assert "2,500 credits each month" in page
    form = re.findall(r'name="request_id" value="(form_\w+)"', page)[0]
    first = owner.post("/billing/plans/subscribe", request_id=form, plan_id="pro").location
    assert owner.post("/billing/plans/subscribe", request_id=form, plan_id="pro").location == first
    other = "form_" + "0" * 32
    second = owner.post("/billing/plans/subscribe", request_id=other, plan_id="pro").location
    states = [
        client_at_stripe.v1.checkout.sessions.retrieve(url.rsplit("/", 1)[-1]).status
        for url in (first, second)
    ]
    assert states == ["expired", "open"]
    for plan in ("free", "none", ""):
        assert (
            owner.post("/billing/plans/subscribe", request_id="form_" + "1" * 32, plan_id=plan).status_code
            == 404
        )


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What workers were asked for."""
    told: list[tuple[object, ...]] = []
    monkeypatch.setattr(Queue, "hint", lambda _self, *message: told.append(message))
    return told


@pytest.fixture
def plan_checkout(owner: Browser, server: LocalStripe) -> tuple[str, str]:
    """Starter, chosen and not paid yet: the Session, and the page that Checkout leads back to."""
    form = re.findall(r'name="request_id" value="(form_\w+)"', owner.get("/billing/plans").text)[0]
    url = owner.post("/billing/plans/subscribe", request_id=form, plan_id="starter").location
    (asked,) = server.control.requests(method="POST", path="/v1/checkout/sessions")
    back = str(asked["params"]["success_url"])
    assert asked["params"]["cancel_url"] == f"{back}&canceled=1"
    return url.rsplit("/", 1)[-1], back.removeprefix("http://localhost:8000")


def test_coming_back_from_a_plans_checkout_waits_for_plan_and_credits(
    owner: Browser, ledger: Ledger, server: LocalStripe, client_at_stripe: stripe.StripeClient,
    plan_checkout: tuple[str, str], hints: list[tuple[object, ...]],
) -> None:  # fmt: skip
    session, back = plan_checkout
    paid = server.control.pay_checkout(session)
    page = owner.get(back).text
    checkout = back.rpartition("=")[2]
    assert hints == [(CHECK_SUBSCRIPTION, checkout)]
    assert "Your plan Starter is being set up" in page
    assert "/billing/plans/subscribe" not in page
    poll = re.search(r'hx-get="(/billing/plans[^"]+)"', page)
    reload = re.search(r'<noscript><meta http-equiv="refresh" content="2; url=([^"]+)">', page)
    assert poll is not None
    assert reload is not None
    subscription = client_at_stripe.v1.subscriptions.retrieve(paid["subscription"]).to_dict()
    ledger.mirror_subscription(0, facts_of_subscription(subscription))
    for path in (poll[1], reload[1]):
        assert "is being set up" in owner.get(path.replace("&amp;", "&")).text
    ledger.grant_invoice(facts_of_invoice(client_at_stripe.v1.invoices.retrieve(paid["invoice"]).to_dict()))
    part = owner.get(poll[1].replace("&amp;", "&")).text
    assert "Your plan Starter is set up, and 500 credits were added." in part
    assert 'hx-get="/billing/plans' not in part
    assert "<html" not in part
    assert re.search('id="header-balance"[^>]* hx-swap-oob="true"', part)
    assert len(hints) == 1


def test_turning_back_from_a_plans_checkout_says_that_nothing_was_charged(
    owner: Browser, plan_checkout: tuple[str, str], hints: list[tuple[object, ...]], money: Counts
) -> None:
    before = money()
    page = owner.get(f"{plan_checkout[1]}&canceled=1").text
    assert "Nothing was charged: you left before subscribing to Starter." in page
    assert "/billing/plans/subscribe" in page
    assert 'hx-get="/billing/plans' not in page
    assert (hints, money()) == ([], before)


@pytest.mark.parametrize("name", ["", "subc_none", "%00", "subc_others"])
def test_81_checkouts_of_others_say_nothing(
    owner: Browser, ledger: Ledger, hints: list[tuple[object, ...]], name: str
) -> None:
    ledger.open_account("other", "Other", None, None, 0, "tests")
    ledger.link_customer("other", "cus_other")
    ledger.open_subscription("subc_others", "other", "pro", "cus_other")
    answer = owner.get(f"/billing/plans?checkout={name}")
    assert answer.status_code == 200
    assert "being set up" not in answer.text
    assert "/billing/plans/subscribe" in answer.text
    assert hints == []


def test_plan_of_nothing_promises_nothing_and_is_that_of_an_account_without_a_subscription(
    owner: Browser, ledger: Ledger, database: Database
) -> None:
    def words(name: str) -> str:
        found = re.search(
            rf'<section[^>]*aria-label="{name}">.*?</section>', owner.get("/billing/plans").text, re.DOTALL
        )
        assert found is not None
        return " ".join(re.sub("<[^>]+>", " ", found[0]).split())

    assert words("Free").startswith("Free Current Free An account without a subscription: credits are bought")
    assert "none come each month" in words("Free")
    assert "50 credits" not in words("Free")
    assert "Current" not in words("Starter")
    subscribed = (
        "insert into billing.subscriptions (id, account_id, plan_id, status, quantity, cancel_at_period_end, started_at,"
        " stripe_customer_id, version) values ('s', 'acme', 'starter', 'active', 3, false, now(), 'cus_1', 1) returning 1"
    )
    rows(database, subscribed)
    page = " ".join(owner.get("/billing/plans").text.split())
    assert "3 of them: 1,500 credits for $57.00 each month." in page
    assert "Current" in words("Starter")
    assert "Current" not in words("Free")


def test_sign_up_credits_are_said_to_come_once(
    settings: Settings, ledger: Ledger, queue: Queue, client_at_stripe: stripe.StripeClient, acme: str
) -> None:
    granting = settings.model_copy(update={"signup_credits": "30"})
    gateway = StripeGateway(client_at_stripe, Sealer("test sealing key"))
    client = create_app(granting, ledger=ledger, queue=queue, gateway=gateway).test_client()
    url = urlsplit(login_url(granting, acme))
    client.get(f"{url.path}?{url.query}")
    page = " ".join(client.get("/billing/plans").text.split())
    assert "The first account of an owner got 30 once, when it was opened." in page
