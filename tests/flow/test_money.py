"""Money in and credits out over real processes, with nothing going wrong but the order of things."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import buyer
from local.scene import THRESHOLD, TOPUP
from shared import queue
from tests.flow.world import BOUGHT, SIGNUP, Account, World
from tests.support import Proc, wait_until

pytestmark = pytest.mark.xdist_group("flow-money")
CONNECTIONS = 16
SPENDS = 200


def post_event(world: World, event: dict[str, Any]) -> int:
    """Deliver an event as Stripe does, signed by the test itself; answers the status."""
    body = json.dumps(event).encode()
    stamp = int(time.time())
    secret = world.stack.settings["STRIPE_WEBHOOK_SECRET"]
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={stamp},v1={digest}", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{world.stack.port}/api/webhooks/stripe"
    return httpx.post(url, content=body, headers=headers, timeout=60, trust_env=False).status_code


def completed_event(account: Account, checkout: dict[str, Any]) -> dict[str, Any]:
    """What Stripe sends when a Checkout Session is paid."""
    session = {
        "id": account.session_id(checkout),
        "object": "checkout.session",
        "metadata": {"refill_payment_id": checkout["id"], "refill_account_id": account.id},
        "payment_status": "paid",
    }
    return {
        "id": f"evt_{checkout['id']}",
        "object": "event",
        "type": "checkout.session.completed",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "livemode": False,
        "data": {"object": session},
    }


def test_signed_webhook_becomes_a_balance(world: World) -> None:
    account = world.account(topup=False)
    world.stripe.do("webhooks", action="lose")
    checkout = account.checkout()
    account.pay(checkout)
    assert account.balance == SIGNUP + BOUGHT
    assert post_event(world, completed_event(account, checkout)) == 200
    account.await_balance(SIGNUP + 2 * BOUGHT, 5)
    account.assert_charges(2)


def test_purchase_through_the_hosted_page(world: World) -> None:
    """By the form of the page, to the credits and back to a page of ours that needs no sign-in."""
    account = world.account(topup=False)
    back = buyer.pay(account.checkout("credits_250")["url"])
    assert back.startswith(f"{world.stack.url}/billing/return/")
    assert httpx.get(back, trust_env=False).status_code == 200
    account.await_balance(SIGNUP + BOUGHT + 250, 5)
    account.assert_charges(2)


def test_debit_to_charge_to_grant(world: World, account: Account) -> None:
    """B12: the whole way within a second or so; here with room for a busy machine."""
    account.cross_threshold()
    account.await_balance(THRESHOLD + TOPUP, 5)
    entries = account.api.transactions()
    assert [entry["kind"] for entry in entries] == ["topup", "usage", "purchase", "signup"]
    account.assert_charged_once()


def test_200_spends_from_16_connections_charge_once(world: World, account: Account) -> None:
    """No. 40."""
    clients = [Account(world, account.id) for _ in range(CONNECTIONS)]

    def spend(number: int) -> int:
        return clients[number % CONNECTIONS].spend("0.6", f"burst-{number}").status_code

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        statuses = list(pool.map(spend, range(SPENDS)))
    assert statuses == [200] * SPENDS
    wait_until(lambda: account.grants("topup") == 1, 10)
    assert account.balance == Decimal(SIGNUP + BOUGHT + TOPUP) - SPENDS * Decimal("0.6")
    account.assert_charged_once()


def test_events_of_one_purchase_three_times_out_of_order(world: World, account: Account) -> None:
    """Peers no. 6: both events, each three times, reversed, with Redis flushed between: one grant."""
    world.stripe.do("webhooks", action="hold")
    account.pay(account.checkout())
    held = [row for row in world.stripe.look("deliveries") if row["state"] == "held"]
    announcing = ("checkout.session.completed", "payment_intent.succeeded")
    paid = [row["event"] for row in held if row["type"] in announcing]
    assert len(paid) == 2
    world.stripe.do("release", order="reversed")
    account.await_balance(SIGNUP + 2 * BOUGHT, 5)
    for _ in range(2):
        world.stack.services.redis.flush()
        for event in reversed(paid):
            world.stripe.do("resend", id=event)
        wait_until(lambda: world.stripe.look("idle"), 5)
    assert account.balance == SIGNUP + 2 * BOUGHT
    assert account.grants("purchase") == 2
    account.assert_charges(2)


def test_all_webhooks_lost(world: World) -> None:
    """Promise 2. The waiting is shortened by moving the rows' own times."""
    account = world.account()
    world.stripe.do("webhooks", action="lose")
    account.pay(account.checkout())
    world.sweep(account)
    account.await_balance(SIGNUP + 2 * BOUGHT, 5)
    account.spend(SIGNUP + 2 * BOUGHT - THRESHOLD)
    account.await_balance(THRESHOLD + TOPUP, 5)
    account.assert_charges(3)


def test_person_does_not_pay_beside_the_automatic_charge(world: World, account: Account) -> None:
    """Peers no. 7: a Checkout page that is open when the charge begins can no longer be paid."""
    checkout = account.checkout()
    world.stripe.do("slow", path="/v1/payment_intents/*/confirm", seconds=1.5, method="POST")
    confirmed = world.requests("/v1/payment_intents/*/confirm")
    account.cross_threshold()
    world.await_request("/v1/payment_intents/*/confirm", after=confirmed)
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        account.pay(checkout)
    refused = account.api.try_post("/api/billing/checkout-sessions", package_id="credits_100")
    assert refused.json()["code"] == "topup_in_flight"
    account.await_balance(THRESHOLD + TOPUP, 8)
    account.assert_charged_once()


def test_checkout_paid_just_before_the_charge_prevents_it(world: World, account: Account) -> None:
    """The same race the other way round: paid while the PaymentIntent is made, and its webhooks are late."""
    checkout = account.checkout()
    world.stripe.do("webhooks", action="hold")
    world.stripe.do("slow", path="/v1/payment_intents", seconds=1, method="POST")
    created = world.requests("/v1/payment_intents")
    account.cross_threshold()
    world.await_request("/v1/payment_intents", after=created)
    account.pay(checkout)
    account.await_balance(THRESHOLD + BOUGHT, 8)
    wait_until(lambda: account.topups[-1]["state"] == "canceled", 8)
    world.stripe.do("release")
    account.assert_charges(2)
    assert account.grants("topup") == 0


def test_stripe_down_for_a_while(world: World, account: Account) -> None:
    """Peers no. 3: nobody is paused, no top-up is lost."""
    world.stripe.do("fail", kind=503, path="/v1/*", times=None)
    account.cross_threshold()
    wait_until(lambda: account.topups and account.topups[-1]["next_attempt_at"], 5)
    time.sleep(2)
    state = account.api.get("/api/billing/auto-topup")
    assert state["paused_reason"] is None
    assert state["declines"] == 0
    world.stripe.do("clear_faults")
    account.await_balance(THRESHOLD + TOPUP, 15, sweep=True)
    account.assert_charged_once()


def test_undecodable_message_does_not_stop_its_siblings(world: World) -> None:
    """No. 65."""
    account = world.account(topup=False)
    world.process("worker").signal(signal.SIGSTOP)  # so that all of them are fetched together
    world.redis.hset("dramatiq:usage.msgs", "broken", b"{")
    world.redis.rpush("dramatiq:usage", "broken")
    for number in range(3):
        event = {"id": f"sibling-{number}", "account_id": account.id, "amount": "1"}
        world.queue.enqueue(queue.RECORD_USAGE, event)
    world.process("worker").signal(signal.SIGCONT)
    account.await_balance(SIGNUP + BOUGHT - 3, 8)


def test_two_schedulers_fire_a_slot_once(world: World, tmp_path: Path) -> None:
    """Counted at the queue, whose worker is held meanwhile."""
    worker = world.process("worker")
    with Proc("workers.scheduler", env=world.stack.environment, log=tmp_path / "second.log") as second:
        second.wait_for_line('"message": "ready"')
        worker.signal(signal.SIGSTOP)
        try:
            waiting = sweeps_waiting(world)
            world.query("delete from billing.job_runs where job = 'sweep'")
            wait_until(lambda: sweeps_waiting(world) > waiting, 5)
            time.sleep(2.5)  # each scheduler has looked twice
            slots = world.query("select slot from billing.job_runs where job = 'sweep'")
            assert sweeps_waiting(world) - waiting == len(slots)
        finally:
            worker.signal(signal.SIGCONT)


def sweeps_waiting(world: World) -> int:
    messages = world.redis.hvals("dramatiq:maintenance.msgs")
    return sum(json.loads(message)["actor_name"] == queue.SWEEP for message in messages)
