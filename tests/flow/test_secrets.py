"""No. 94: what processes write about themselves names no secret, whatever went through them or went wrong."""

from __future__ import annotations

import re

import httpx
import pytest

from local import buyer
from local.scene import THRESHOLD, TOPUP
from tests.flow.world import BOUGHT, SIGNUP, World
from tests.support import wait_until

pytestmark = pytest.mark.xdist_group("flow-money")
CARD = "4242 4242 4242 4242"
FORMS = (
    r"\brk_[0-9a-f]{48}\b",
    r"\b[sp]k_test_\w{12,}",
    r"\bwhsec_\w{12,}",
    r"_secret_\w{8,}",
    r"\b4242[ -]?4242[ -]?4242[ -]?4242\b",
    r"://[^\s/@]*:[^\s/@]+@",
)


def test_no_secret_in_any_log(world: World) -> None:
    account = world.account(topup=False)
    buyer.pay(account.checkout()["url"], card=CARD)
    account.await_balance(SIGNUP + 2 * BOUGHT)
    account.enable_topup()
    account.spend(SIGNUP + 2 * BOUGHT - THRESHOLD)
    account.await_balance(THRESHOLD + TOPUP)
    provoke_errors(world)
    texts = {path.name: path.read_text() for path in world.stack.logs.glob("*.log")}
    assert {"web.log", "payments.log", "worker.log", "scheduler.log"} <= set(texts)
    secrets = [value for name, value in world.stack.settings.items() if name.endswith(("_KEY", "_SECRET"))]
    passwords = [
        world.database_url.split(":")[2].split("@")[0],
        world.stack.settings["REDIS_URL"].split(":")[2].split("@")[0],
    ]
    for name, text in texts.items():
        for secret in [*secrets, *passwords, world.key]:
            assert secret not in text, f"a secret stands in {name}"
        for form in FORMS:
            assert not re.search(form, text), f"{form} matches in {name}"
    assert "invalid_signature" in texts["web.log"] or "webhook refused" in texts["web.log"]


def provoke_errors(world: World) -> None:
    """What fails is what gets logged at length."""
    url = f"http://127.0.0.1:{world.stack.port}"
    key = {"Authorization": f"Bearer {world.key}"}
    with httpx.Client(base_url=url, headers=key, trust_env=False) as client:
        secret = world.stack.settings["STRIPE_WEBHOOK_SECRET"]
        client.post("/api/webhooks/stripe", content=b"{}", headers={"Stripe-Signature": f"t=1,v1={secret}"})
        client.post("/api/credits/use", json={"account_id": "nobody", "action": "message"})
        client.get(f"/api/credits/balance?account_id=x&key={world.key}")
    account = world.account()
    world.stripe.do("behave", id=account.customer, outcome="decline", decline_code="lost_card")
    account.cross_threshold()
    wait_until(lambda: account.topups and account.topups[-1]["state"] == "declined", 10)
    redis = world.stack.services.redis
    redis.kill()
    account.spend("0.5")
    redis.start()
    world.kill("payments")
    world.restart("payments")
