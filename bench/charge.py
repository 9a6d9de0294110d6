"""From a debit to its charge, with real processes: the spend's answer to the confirmation's arrival at Stripe."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import stripe

from bench import database
from bench.harness import BenchError, Recorder
from bench.http import await_true
from local.api import Api, StripeControl
from local.embedded import Guarded
from local.services import ROOT
from local.stack import Stack, procfile

ACCOUNTS_PER_ROUND = 40
PAUSE_SECONDS = 0.05
CHARGED_SECONDS = 60.0
CONFIRM = "/v1/payment_intents/*/confirm"
CREDIT = 1_000_000


def run(stack: Stack, recorder: Recorder) -> None:
    """Every spend is by another account, and takes it below its threshold."""
    per_round = 3 if recorder.small else ACCOUNTS_PER_ROUND
    shop = Shop(stack)
    delays: list[list[float]] = []

    def debits() -> float:
        delays.append(shop.delays(per_round))
        return statistics.median(delays[-1])

    with payments_worker(stack, "payments-charge"):
        shop.delays(2)
        samples = recorder.alternate(
            "debit_to_charge (ms, median)", {"charge": debits, "one call of Stripe": shop.one_call}
        )
    recorder.keep("debit_to_charge_ms.p50", samples["charge"])
    recorder.keep("debit_to_charge_ms.p99", [_percentile(found, 0.99) for found in delays])
    recorder.keep("debit_to_charge_ms.one_stripe_call", samples["one call of Stripe"])
    for name in ("p50", "p99"):  # the figures are those of all debits; the spread is that of the rounds
        everything = [delay for found in delays for delay in found]
        recorder.figures["debit_to_charge_ms"][name] = round(_percentile(everything, int(name[1:]) / 100), 1)


_numbers = itertools.count(1)


class Shop:
    """Accounts with a card at the local Stripe and automatic top-up."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.key = stack.flask("api-keys", "create", "--name=bench", "--scopes=spend,price").split()[-1]
        self.control = StripeControl(stack.settings["STRIPE_API_BASE"])
        self.client = stripe.StripeClient(
            stack.settings["STRIPE_SECRET_KEY"], base_addresses={"api": stack.settings["STRIPE_API_BASE"]}
        )

    def account(self) -> str:
        """A new account with 100 credits, a card, and automatic top-up at 10 credits."""
        account = f"charge_{next(_numbers)}"
        customer = self.client.v1.customers.create({"metadata": {"refill_account_id": account}}).id
        method = self.client.v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
        settings = (
            '{"enabled": true, "threshold": 10000000, "package_id": "credits_100", "text_version": "1"}'
        )
        for statement in (
            f"select billing.open_account('{account}', 'Bench', null, null, {100 * CREDIT}, 'bench')",
            f"select billing.link_customer('{account}', '{customer}')",
            f"select billing.set_default_payment_method('{account}', '{method}', '{{}}', 'bench')",
            f"select billing.set_auto_topup('{account}', '{settings}', 'bench')",
        ):
            database.execute(self.stack.services.postgres.url, statement)
        return account

    def debit(self, account: str) -> float:
        """Takes the account below its threshold; answers when the spend was answered."""
        api = Api(self.stack.url, self.key, account)
        api.post("/api/credits/use", id="spend", amount="95")
        return time.time()

    def delays(self, count: int) -> list[float]:
        """Milliseconds from debit to charge, for so many accounts."""
        accounts = [self.account() for _ in range(count)]
        debited = {}
        for account in accounts:
            debited[account] = self.debit(account)
            time.sleep(PAUSE_SECONDS)
        await_true(lambda: debited.keys() <= self.charged().keys(), "every charge", CHARGED_SECONDS)
        charged = self.charged()
        return [1000 * (charged[account] - at) for account, at in debited.items()]

    def charged(self) -> dict[str, float]:
        """When the first confirmation of each account's PaymentIntent arrived."""
        rows = database.execute(
            self.stack.services.postgres.url,
            "select stripe_payment_intent_id, account_id from billing.topups"
            " where stripe_payment_intent_id is not null",
        )
        accounts: dict[str, str] = dict(rows)
        found: list[dict[str, Any]] = self.control.look("requests", method="POST", path=CONFIRM)
        arrivals = {request["path"].split("/")[3]: request["at"] for request in reversed(found)}
        return {accounts[intent]: at for intent, at in arrivals.items() if intent in accounts}

    def one_call(self) -> float:
        """Milliseconds of one call of the local Stripe, of which a charge makes one before it confirms."""
        start = time.perf_counter()
        for _ in range(10):
            self.client.v1.payment_intents.create({"amount": 500, "currency": "usd"})
        return 100 * (time.perf_counter() - start)


@contextmanager
def payments_worker(stack: Stack, name: str) -> Iterator[Guarded]:
    """A payments worker with default settings that is at work."""
    log = stack.logs / f"{name}.log"
    process = Guarded(procfile()["payments"], log, env=stack.environment, cwd=ROOT)
    try:
        await_true(lambda: '"ready"' in log.read_text() or not process.running, "a worker")
        if not process.running:
            raise BenchError(f"the payments worker ended:\n{log.read_text()}")
        yield process
    finally:
        if process.running:
            process.stop()


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
