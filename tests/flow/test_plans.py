"""A change of plan in Stripe's Billing Portal, by real processes: paid at Stripe, granted by its webhook."""

from __future__ import annotations

from typing import Any

import httpx
import stripe

from tests.flow.world import BOUGHT, SIGNUP, World
from tests.support import wait_until

MONTH, YEAR = 500, 6000


def test_a_change_from_month_to_year_in_the_portal_grants_the_year(world: World) -> None:
    account = world.account(topup=False)
    client = stripe.StripeClient(
        "sk_test_flow", base_addresses={"api": world.stack.settings["STRIPE_API_BASE"]}
    )
    product = client.v1.products.create({"id": f"prod_{account.id}", "name": "Starter"}).id
    monthly, yearly = (
        client.v1.prices.create(
            {
                "product": product,
                "unit_amount": amount,
                "currency": "usd",
                "recurring": {"interval": interval},
            }
        ).id
        for amount, interval in ((1900, "month"), (19000, "year"))
    )
    plans: Any = (("month", MONTH, 1900, monthly), ("year", YEAR, 19000, yearly))
    for interval, credits, amount, price in plans:
        world.query(
            "insert into billing.subscription_plans (id, name, credits_per_cycle, amount, currency, billing_interval,"
            " stripe_product_id, stripe_price_id) values (%s, %s, %s, %s, 'usd', %s, %s, %s)",
            f"{account.id}-{interval}", interval, credits * 1_000_000, amount, interval, product, price,
        )  # fmt: skip
    checkout = account.api.post("/api/billing/checkout-sessions", plan_id=f"{account.id}-month")
    account.pay(checkout)
    account.await_balance(SIGNUP + BOUGHT + MONTH)
    configuration = client.v1.billing_portal.configurations.create(
        {
            "features": {
                "subscription_update": {
                    "enabled": True,
                    "default_allowed_updates": ["price"],
                    "proration_behavior": "always_invoice",
                    "products": [{"product": product, "prices": [monthly, yearly]}],
                }
            }
        }
    )
    portal = client.v1.billing_portal.sessions.create(
        {"customer": account.customer, "configuration": configuration.id}
    )
    found = world.query("select id from billing.subscriptions where account_id = %s", account.id)
    form = {"price": yearly}
    httpx.post(
        f"{portal.url}/plans/{found[0]['id']}/update", data=form, trust_env=False, follow_redirects=True
    )

    def year_is_shown() -> bool:
        shown = world.ledger.get_subscription(account.id)
        return shown is not None and (shown["interval"], shown["amount"]) == ("year", 19000)

    wait_until(year_is_shown, 12, "the yearly plan to be shown")
    wait_until(lambda: account.balance >= SIGNUP + BOUGHT + YEAR, 12, "the year's credits")
    # The seconds that passed of the month are used; what was unspent of the rest came back.
    assert account.balance < SIGNUP + BOUGHT + YEAR + 1
    world.assert_sound()
