"""Every page that is a whole document, by the map of routes, and an account that fills them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared import invite_links, pay_links
from shared.keys import local_operator_id
from tests.flow.world import Account
from tests.support import wait_until
from web import create_app
from web.local_login import login_url, operator_url

OURS = re.compile(r"/$|/(billing|sign-in|ops|docs)(/|$)")
NO_DOCUMENT = {
    "/": "a redirect",
    "/billing/live": "a part of the overview",
    "/billing/balance": "a part of every page",
    "/billing/auto-topup/live": "a part of that page",
    "/billing/pay/<token>/done": "looks like /billing/success",
    "/billing/payment-methods/added/<intent_id>": "a redirect",
    "/sign-in/callback": "a redirect, or the sign-in page",
    "/sign-in/with/<provider>": "a redirect",
}
VISITORS = {
    "/billing/pay/": "nobody",
    "/billing/return/": "nobody",
    "/billing": "owner",
    "/ops": "operator",
    "/": "nobody",
}
CREDIT = 1_000_000
REVIEWED = "threshold=50&mode=fixed&amount=100&cap_day=100&cap_month=500&per_hour=3"


@dataclass(frozen=True)
class Visited:
    """A page: its route, where it is, and who looks at it: operator, owner, or nobody."""

    rule: str
    path: str
    who: str


def fill(account: Account) -> dict[str, str]:
    """Something of everything, and the ids that routes with arguments need."""
    ledger = account.world.ledger
    for scope, name, limit in (
        ("agent", "researcher", 50),
        ("department", "marketing", 400),
        ("member", "ada", 100),
    ):
        setting = {"scope": scope, "scope_id": name, "window": "day", "hard": name != "ada"}
        ledger.set_limit(account.id, setting | {"credits": limit * CREDIT}, "tests")
    account.spend("7.5")
    ledger.spend_credits(
        account.id,
        {"id": "chat-1", "amount": 4 * CREDIT, "agent": "researcher", "department_id": "marketing"},
    )
    ledger.place_hold(account.id, {"id": "run-42", "amount": 3 * CREDIT, "agent": "researcher"})
    ledger.create_webhook_endpoint(
        "whe_" + f"{abs(hash(account.id)):032x}"[-32:],
        account.id,
        "https://hooks.example/refill",
        ["balance.low"],
        "whsec_x",
        "tests",
    )
    ledger.request_adjustment(
        f"adj_{account.id}", account.id, 20_000 * CREDIT, "Price was wrong", "operator:b", "kim"
    )
    run = f"rec_{account.id}"
    ledger.open_reconciliation(run, "2026-01-01T00:00:00Z", None)
    ledger.record_difference(run, "payment", "pi_gone", account.id, "not_paid", {})
    wait_until(lambda: ledger.list_stripe_events("done", 1), 20, "an event to be done")
    event = ledger.list_stripe_events(None, 1)[0]["id"]
    payment = ledger.list_payments(account.id, 1, None)["data"][0]["id"]
    unpaid = account.checkout()["id"]
    return {
        "/ops/events/<event_id>": f"/ops/events/{event}",
        "/ops/payments/<payment_id>": f"/ops/payments/{_parked(account)}",
        "/ops/search": "/ops/search?q=" + account.id[:3],
        "/ops/accounts/<account_id>": f"/ops/accounts/{account.id}",
        "/billing/success": f"/billing/success?payment={payment}",
        "/billing/failure": f"/billing/failure?payment={payment}",
        "/billing/pay/<token>": _pay_path(account),
        "/billing/invitations/<token>": _invitation_path(account),
        "/billing/return/<token>": _return_path(account, payment),
        "/billing/return/<token>/canceled": _return_path(account, unpaid) + "/canceled",
        "/billing/buy/<payment_id>": _order_path(account),
        "/billing/auto-topup/review": f"/billing/auto-topup/review?{REVIEWED}&card={account.card}",
        "/billing/payment-methods/add/<intent_id>": f"/billing/payment-methods/add/{_setup(account)}",
        "/billing/payment-methods/<method_id>/remove": f"/billing/payment-methods/{account.card}/remove",
    }


def _parked(account: Account) -> str:
    """A payment of which Stripe says another amount; and usage that waits for a price."""
    ledger = account.world.ledger
    customer = ledger.get_customer(account.id)
    assert customer is not None
    payment = ledger.open_purchase(
        f"pay_parked_{account.id}", account.id, "credits_100", 1, customer["stripe_customer_id"]
    )
    facts = {"payment_intent": f"pi_{account.id}", "customer": customer["stripe_customer_id"]}
    ledger.settle_payment(payment["id"], facts | {"currency": "usd", "amount_received": 1})
    ledger.record_usage(
        [{"id": "unpriced", "action": "paint", "dimensions": {"model": "m", "tokens": 5}}], account.id
    )
    return payment["id"]


def _order_path(account: Account) -> str:
    """The page of a purchase that is paid right there; the charge above waits for its card holder and is in nobody's way."""
    order = account.api.post("/api/create-payment-intent", package_id="credits_100")
    return f"/billing/buy/{order['id']}"


def _invitation_path(account: Account) -> str:
    """The page of an open invitation, as an owner sees it who opens the link to pass on."""
    invited = account.world.ledger.invite_member(
        f"inv_{account.id}", account.id, "new@example.com", "admin", "tests"
    )
    url = invite_links.invite_url(account.world.settings, account.id, invited["id"])
    return url.removeprefix(account.world.settings.base_url)


def _return_path(account: Account, payment_id: str) -> str:
    settings = account.world.settings
    return pay_links.return_url(settings, payment_id).removeprefix(settings.base_url)


def _setup(account: Account) -> str:
    secret: str = account.api.post("/api/billing/setup-intents")["client_secret"]
    return secret.partition("_secret_")[0]


def _pay_path(account: Account) -> str:
    """The page of a top-up that waits for its card holder."""
    account.world.stripe.do("behave", id=account.card, outcome="authentication_required")
    account.enable_topup()
    account.cross_threshold()

    def waiting() -> list[str]:
        return [top["payment_id"] for top in account.topups if top["state"] == "action_required"]

    wait_until(lambda: waiting() != [], 15, "a top-up that waits for its card holder")
    url = pay_links.pay_url(account.world.settings, waiting()[0])
    return url.removeprefix(account.world.settings.base_url)


def every_page(account: Account) -> list[Visited]:
    """All pages. A route with arguments that nothing here fills fails."""
    found, filled = [], fill(account)
    for rule in create_app(account.world.settings).url_map.iter_rules():
        path = filled.get(rule.rule, rule.rule)
        if (
            "GET" not in (rule.methods or ())
            or not OURS.match(rule.rule)
            or rule.rule in NO_DOCUMENT
            or path.endswith(".csv")
        ):
            continue
        assert "<" not in path, f"{rule.rule} has no row in tests/browser/pages.py"
        who = next(who for start, who in VISITORS.items() if path.startswith(start))
        found.append(Visited(rule.rule, path, who))
    return sorted(found, key=lambda page: (page.who, page.path))


def sign_in_urls(account: Account) -> dict[str, str]:
    """Where each of them signs in."""
    settings = account.world.settings
    return {
        "owner": login_url(settings, account.id),
        "operator": operator_url(settings, local_operator_id()),
        "nobody": f"{settings.base_url}/healthz",
    }
