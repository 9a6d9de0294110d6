"""The states that an account, its payments and its visitors get into, each made by what leads there in earnest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

from playwright.sync_api import Page

from local.api import await_value
from local.scene import Place, Scene
from local.screenshots import people
from local.screenshots.accounts import BOUGHT, bought, opened
from local.screenshots.visits import Visit, nobody, operator, owner
from shared import pay_links
from shared.stripe_client import make_client

GRACE_HOURS = 72
EMPTY_PAGES = (
    "",
    "/usage",
    "/history",
    "/payments",
    "/payment-methods",
    "/auto-topup",
    "/limits",
    "/statement",
    "/notices",
)
REVIEW = "threshold=50&mode=fixed&amount=100&cap_day=100&cap_month=500&per_hour=3"
HARD = {"outcome": "decline", "decline_code": "stolen_card"}
LINK_OF_LONG_AGO = 1_700_000_000

State = Callable[[Scene], list[Visit]]


def everything(scene: Scene) -> list[Visit]:
    """Visits of every state; it takes a while, as each one is lived through."""
    return [visit for state in STATES for visit in state(scene)]


def empty(scene: Scene) -> list[Visit]:
    enter = owner(opened(scene, "empty"))
    return [Visit(f"empty{path.replace('/', '-')}", f"/billing{path}", enter) for path in EMPTY_PAGES]


def balances(scene: Scene) -> list[Visit]:
    """Running low, nothing left, less than nothing."""
    visits = []
    for name, used in (("low", "85"), ("nothing-left", "100"), ("debt", "112.5")):
        place = bought(scene, name)
        place.api.post_events([{"id": "work", "amount": used, "agent": "researcher"}])
        visits.append(Visit(name, "/billing", owner(place)))
    return visits


def disputed(scene: Scene) -> list[Visit]:
    """Frozen by a dispute, asked about by the bank, and let go by an operator."""
    place = _disputed(scene, "disputed", inquiry=False)
    _await_status(place, "paused")
    asked, lifted = _disputed(scene, "inquiry", inquiry=True), _disputed(scene, "lifted", inquiry=False)
    scene.ledger.unfreeze_account(lifted.id, None, "The card holder withdraws it", "operator:dana")
    return [
        Visit("disputed", "/billing", owner(place)),
        Visit("disputed-payments", "/billing/payments", owner(place)),
        Visit("inquiry", "/billing", owner(asked)),
        Visit("inquiry-auto-topup", "/billing/auto-topup", owner(asked)),
        Visit("lifted", "/billing", owner(lifted)),
        Visit("operators-frozen", f"/ops/accounts/{place.id}", operator(scene)),
        Visit("operators-lifted", f"/ops/accounts/{lifted.id}", operator(scene)),
    ]


def failing(scene: Scene) -> list[Visit]:
    """A card that is refused for good: auto top-up pauses, grace begins, and ends."""
    place = _charged(scene, "failing", **HARD)
    await_value(lambda: place.api.get("/api/billing/auto-topup")["paused_reason"], "auto top-up to pause")
    scene.ledger.dun_accounts(GRACE_HOURS, 0, 100)
    _await_status(place, "grace")
    late = _charged(scene, "late", **HARD)
    await_value(lambda: late.api.get("/api/billing/auto-topup")["paused_reason"], "auto top-up to pause")
    scene.ledger.dun_accounts(GRACE_HOURS, 0, 100)
    scene.query("update billing.credit_balances set grace_until = now() where account_id = %s", late.id)
    scene.ledger.dun_accounts(GRACE_HOURS, 0, 100)
    _await_status(late, "paused")
    return [
        Visit("grace", "/billing", owner(place)),
        Visit("grace-auto-topup", "/billing/auto-topup", owner(place)),
        Visit("paused", "/billing", owner(late)),
    ]


def topups(scene: Scene) -> list[Visit]:
    """Auto top-up before it is allowed, on, under way, held back, and waiting for the card holder."""
    off, on = bought(scene, "topup-off"), bought(scene, "topup-on")
    on.enable_topup()
    under_way = _charged(scene, "topup-charging", outcome="processing")
    capped = bought(scene, "topup-capped")
    capped.enable_topup(caps={"day": {"amount": 500, "currency": "usd"}, "per_hour": 10})
    capped.spend("60")
    await_value(lambda: capped.balance > BOUGHT, "the first charge of the day")
    capped.spend("100")
    await_value(lambda: capped.api.get("/api/billing/auto-topup")["waiting_reason"], "the cap to hold")
    asked = _charged(scene, "topup-asked", outcome="authentication_required")
    payment = await_value(lambda: _waiting_payment(asked), "a charge that waits for its card holder")
    link = pay_links.pay_url(scene.settings, payment).removeprefix(scene.settings.base_url)
    with mock.patch("itsdangerous.timed.time.time", return_value=LINK_OF_LONG_AGO):
        old = pay_links.pay_url(scene.settings, payment).removeprefix(scene.settings.base_url)
    review = f"/billing/auto-topup/review?{REVIEW}&card={off.card}"
    visits = [
        Visit("topup-review", review, owner(off)),
        Visit("topup-review-unticked", review, owner(off), act=_allow_unticked),
        Visit("topup-wrong", f"/billing/auto-topup/review?{REVIEW.replace('50', '-5', 1)}", owner(off), 422),
    ]
    for name, place in (
        ("off", off),
        ("on", on),
        ("charging", under_way),
        ("capped", capped),
        ("asked", asked),
    ):
        visits += [
            Visit(f"topup-{name}", "/billing", owner(place)),
            Visit(f"topup-{name}-settings", "/billing/auto-topup", owner(place)),
        ]
    return [
        *visits,
        Visit("pay", link, nobody),
        Visit("pay-expired", old, nobody, 410),
        Visit("pay-wrong", f"{link}x", nobody, 403),
    ]


def orders(scene: Scene) -> list[Visit]:
    """A purchase from the first look to its end, well or not."""
    place = bought(scene, "orders")
    enter = owner(place)
    paid = place.api.get("/api/billing/payments")["data"][0]["id"]
    here = place.api.post("/api/create-payment-intent", package_id="credits_600")["id"]
    left = bought(scene, "left")
    open_order = left.checkout("credits_250")["id"]
    gone = bought(scene, "gone")
    checkout = gone.checkout("credits_250")
    links = [pay_links.return_url(scene.settings, name) for name in (paid, open_order)]
    back, left_back = (link.removeprefix(scene.settings.base_url) for link in links)
    scene.stripe.do(f"checkout/{gone.session_id(checkout)}/expire")
    await_value(
        lambda: gone.api.get("/api/billing/payments")["data"][0]["status"] != "open", "the order to end"
    )
    return [
        Visit("order", "/billing/buy?package_id=credits_250&quantity=3", enter),
        Visit("order-wrong", "/billing/buy?package_id=credits_250&quantity=0", enter, 422),
        Visit("order-here", f"/billing/buy/{here}", enter),
        Visit("order-here-card", f"/billing/buy/{here}", enter, act=_show_card_form),
        Visit("success", f"/billing/success?payment={paid}", enter),
        Visit("success-waiting", f"/billing/success?payment={here}", enter),
        Visit("failure-left", f"/billing/failure?payment={open_order}", owner(left)),
        Visit("failure-ended", f"/billing/failure?payment={checkout['id']}", owner(gone)),
        Visit("returned", back, nobody),
        Visit("returned-left", f"{left_back}/canceled", nobody),
        Visit("failure-of-nothing", "/billing/failure?payment=pay_none", enter, 404),
    ]


def cards(scene: Scene) -> list[Visit]:
    place = bought(scene, "cards")
    place.enable_topup()
    secret: str = place.api.post("/api/billing/setup-intents")["client_secret"]
    enter = owner(place)
    return [
        Visit("cards-add", f"/billing/payment-methods/add/{secret.partition('_secret_')[0]}", enter),
        Visit("cards-remove", f"/billing/payment-methods/{place.card}/remove", enter),
    ]


def subscriptions(scene: Scene) -> list[Visit]:
    """A plan that renews, one whose invoice failed, one that ends."""
    places = {name: _subscribed(scene, name) for name in ("plan", "plan-unpaid", "plan-ends")}
    scene.stripe.do("behave", id=places["plan-unpaid"].customer, outcome="decline")
    scene.stripe.do("renew", id=_subscription(places["plan-unpaid"])["id"])
    _await_subscription(places["plan-unpaid"], lambda found: found["status"] == "past_due")
    client = make_client(scene.settings)
    client.v1.subscriptions.update(_subscription(places["plan-ends"])["id"], {"cancel_at_period_end": True})
    _await_subscription(places["plan-ends"], lambda found: found["cancel_at_period_end"])
    left = bought(scene, "plan-left")
    checkout = left.api.post("/api/billing/checkout-sessions", plan_id="pro")["id"]
    return [
        *(Visit(name, "/billing", owner(place)) for name, place in places.items()),
        *(Visit(f"{name}-plans", "/billing/plans", owner(place)) for name, place in places.items()),
        Visit("plan-left", f"/billing/plans?checkout={checkout}&canceled=1", owner(left)),
        Visit("plan-setting-up", f"/billing/plans?checkout={checkout}", owner(left)),
    ]


STATES: tuple[State, ...] = (
    empty, balances, disputed, failing, topups, orders, cards, subscriptions, *people.STATES,
)  # fmt: skip


def _disputed(scene: Scene, name: str, *, inquiry: bool) -> Place:
    """An account with auto top-up on, whose payment a bank asks about or disputes."""
    place = bought(scene, name)
    place.enable_topup()
    charge = scene.query("select stripe_charge_id from billing.payments where account_id = %s", place.id)
    scene.stripe.do("open_dispute", charge=charge[0]["stripe_charge_id"], inquiry=inquiry)
    await_value(lambda: place.api.get("/api/credits/balance")["dispute"], "the bank to ask")
    return place


def _charged(scene: Scene, name: str, **behaviour: Any) -> Place:
    """An account whose balance has just reached the threshold, with a card that behaves so."""
    place = bought(scene, name)
    scene.stripe.do("behave", id=place.card, **behaviour)
    place.enable_topup()
    place.spend("60", "crossing")
    return place


def _waiting_payment(place: Place) -> str | None:
    return next((str(row["payment_id"]) for row in place.topups if row["state"] == "action_required"), None)


def _await_status(place: Place, status: str) -> None:
    await_value(
        lambda: place.api.get("/api/credits/balance")["status"] == status, f"the account to be {status}"
    )


def _subscribed(scene: Scene, name: str) -> Place:
    place = opened(scene, name)
    place.pay(place.api.post("/api/billing/checkout-sessions", plan_id="starter"))
    await_value(lambda: place.balance > 0, "the plan's credits to be granted")
    return place


def _subscription(place: Place) -> dict[str, Any]:
    (row,) = place.world.query("select * from billing.subscriptions where account_id = %s", place.id)
    return row


def _await_subscription(place: Place, wanted: Callable[[dict[str, Any]], Any]) -> None:
    await_value(lambda: wanted(_subscription(place)), "the subscription's news")


def _allow_unticked(page: Page) -> None:
    """As a browser that does not mind `required`."""
    page.evaluate("document.querySelector('main form').noValidate = true")
    page.locator("main form button").click()


def _show_card_form(page: Page) -> None:
    details = page.locator("#pay-another")
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    page.get_by_label("Card number").wait_for()
