"""`python -m local.demo`: the main job from end to end, unattended. Exit status 0 only if every check holds.

Real processes on free ports in a temporary directory; nothing is left behind.
"""

import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg

from local import buyer
from local.api import Api, StripeControl, await_value, price_text
from local.embedded import EmbeddedError
from local.stack import Stack
from shared import money
from shared.settings import Settings
from shared.stripe_client import make_client
from web.api.auto_topup import CONSENT_TEXT_VERSION

ACCOUNT = "demo"
SIGNUP = Decimal(50)
PACKAGE = "credits_250"
BOUGHT = Decimal(250)
THRESHOLD = Decimal(40)
TOPUP = Decimal(100)
EVENTS_A_BATCH = 10
PAYMENT_REQUIRED = 402
BUDGET = Decimal(20)
REFUND_AMOUNT = 200
TAKEN_BACK = Decimal(50)
SCOPES = "accounts,spend,usage,read,admin"
EVENT_FINISHED = ("done", "ignored", "parked")


class CheckFailed(Exception):
    """Something is not as it must be; the text says what."""


class Demo:
    """The steps, and what they learn on the way."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.settings = Settings.model_validate(stack.settings)
        self.stripe = make_client(self.settings)
        self.control = StripeControl(stack.settings["STRIPE_API_BASE"])
        key = stack.flask("api-keys", "create", "--name", "demo", "--scopes", SCOPES).split()[-1]
        self.api = Api(stack.url, key, ACCOUNT)
        self.spent = Decimal(0)
        self.balance = Decimal(0)

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """What happens, in order."""
        return [
            ("Open an account", self.open_account),
            ("Buy a package through Checkout", self.buy),
            ("Enable auto top-up", self.enable_topup),
            ("Emit usage until the threshold", self.use_credits),
            ("Charged off session, once", self.await_topup),
            ("A run with a budget", self.run_with_budget),
            ("Refund a part of the purchase at Stripe", self.refund),
            ("The statement", self.show_statement),
            ("The books", self.check_books),
        ]

    def open_account(self) -> None:
        """An account starts with its sign-up credits."""
        self.api.open_account("Demo Ltd", "owner@example.com")
        self._balance_is(SIGNUP)
        say(f"account {ACCOUNT}, {SIGNUP} sign-up credits")

    def buy(self) -> None:
        """By the hosted page's own form; the credits come by webhook and worker."""
        session = self.api.post("/api/billing/checkout-sessions", package_id=PACKAGE)
        say(f"{PACKAGE} for {price_text(session['price'])}: {session['url']}")
        back = buyer.pay(session["url"])
        say(f"paid; the page leads back to {back[:60]}…")
        took = self._await_balance(SIGNUP + BOUGHT, "the purchase to be granted")
        event = self._event("checkout.session.completed")
        say(f"webhook {event['id']} kept and worked off, {BOUGHT} credits granted after {took:.1f} s")

    def enable_topup(self) -> None:
        """With consent and caps; the card is the one that Checkout saved."""
        caps = {"day": {"amount": 2000, "currency": "usd"}, "per_hour": 3}
        state = self.api.put(
            "/api/billing/auto-topup",
            enabled=True,
            threshold=str(THRESHOLD),
            amount=str(TOPUP),
            caps=caps,
            consent={"text_version": CONSENT_TEXT_VERSION},
        )
        say(
            f"at {THRESHOLD} credits or less: {TOPUP} more for {price_text(state['charge']['total'])} from the saved card"
        )
        consent = state["consent"]
        most = price_text(state["caps"]["day"])
        say(f"consent by {consent['actor']} to text {consent['text_version']}; at most {most} a day")
        check(self._charges()["succeeded"] == 1, "enabling must charge nothing")

    def use_credits(self) -> None:
        """Batches of usage, some sent twice, until the threshold is reached."""
        number = 0
        while self.balance - self.spent > THRESHOLD:
            left = int(self.balance - self.spent - THRESHOLD)
            batch = [self._usage_event(number + place) for place in range(min(EVENTS_A_BATCH, left))]
            answer = self.api.post_events(batch)
            repeated = self.api.post_events(batch)
            check(answer["accepted"] == len(batch), f"a batch of {len(batch)} was not accepted: {answer}")
            check(repeated["duplicates"] == len(batch), f"a repeated batch was booked again: {repeated}")
            number += len(batch)
            self.spent += len(batch)
        say(f"{number} events in batches of {EVENTS_A_BATCH}, each batch sent twice, booked once")
        self.balance -= self.spent
        say("the threshold is reached")

    def await_topup(self) -> None:
        """The charge and its grant, within a second or two of the debit."""
        took = self._await_balance(self.balance + TOPUP, "the top-up to be charged and granted")
        payment = self.api.get("/api/billing/payments", limit=1)["data"][0]
        say(f"{price_text(payment['price'])} charged, {TOPUP} credits granted after {took:.1f} s")
        time.sleep(1)  # a second charge would be seen by now
        confirmations = self.control.confirmations()
        check(confirmations == 1, f"the local Stripe saw {confirmations} confirmations, not one")
        charges = self._charges()
        check(
            charges["succeeded"] == len(("purchase", "topup")),
            f"the local Stripe charged the card {charges['succeeded']} times, not 2",
        )
        say("the local Stripe has seen one confirmation, and two charges in all: the purchase and this")

    def run_with_budget(self) -> None:
        """A hold reserves; spends from it are bound by it; what it has not used comes back."""
        self.api.post("/api/credits/holds", id="run-9", amount=str(BUDGET), agent="planner")
        check(self.api.available() == self.balance - BUDGET, "the hold does not hold")
        say(f"{BUDGET} credits held for run-9, {self.api.available()} left for others")
        spent = self.api.post("/api/credits/use", action="research", hold_id="run-9")
        refused = self.api.try_post("/api/credits/use", action="image", quantity=5, hold_id="run-9")
        refusal = refused.json()
        check(refused.status_code == PAYMENT_REQUIRED, f"a spend past the budget was let through: {refusal}")
        say(
            f"research cost {spent['credits']}; five images refused: {refusal['code']}, binding {refusal['binding']},"
            f" {refusal['needed']} needed, {refusal['available']} left"
        )
        self.api.post("/api/credits/holds/run-9/release")
        self._balance_is(self.balance - Decimal(spent["credits"]))
        say("released: what the run did not use is back")

    def refund(self) -> None:
        """Made at Stripe, as in its Dashboard: the share of the price takes its share of the credits."""
        payments = self.api.get("/api/billing/payments")["data"]
        purchase = next(payment for payment in payments if payment["purpose"] == "purchase")
        with psycopg.connect(self.stack.settings["DATABASE_URL"]) as connection:
            query = "select stripe_payment_intent_id from billing.payments where id = %s"
            (intent,) = connection.execute(query, [purchase["id"]]).fetchone() or (None,)
        refund = self.stripe.v1.refunds.create({"payment_intent": str(intent), "amount": REFUND_AMOUNT})
        say(f"{money.to_text(refund.amount, refund.currency)} refunded: {refund.id}, {refund.status}")
        check(self._charges()["refunded"] == refund.amount, "the refund is not on the charge")
        event = self._event("charge.refunded")
        check(event["state"] == "done", f"the refund's event is {event['state']}: {event['reason']}")
        self._await_balance(self.balance - TAKEN_BACK, "the refund's credits to be taken back")
        say(f"webhook {event['id']} worked off, {TAKEN_BACK} credits taken back")

    def show_statement(self) -> None:
        """Every entry, oldest first, runs of usage as one line; then the month's statement, which ties out."""
        self._show_entries()
        statement = self.api.get("/api/credits/statement")
        opening, net, closing = (Decimal(statement[name]) for name in ("opening", "net", "closing"))
        check(opening + net == closing == self.balance, f"the statement does not tie out: {statement}")
        lots = sum(Decimal(lot["closing"]) for lot in statement["lots"])
        check(lots == closing, f"the lots come to {lots}, the statement closes with {closing}")
        say(f"{statement['month']}: opening {opening}, {net:+} in all, closing {closing}, lot by lot as well")

    def _show_entries(self) -> None:
        say(f"{'kind':<14} {'credits':>10} {'balance':>10}  from")
        usage: list[dict[str, Any]] = []
        for row in [*reversed(self.api.all_transactions()), None]:
            if row is not None and row["kind"] == "usage":
                usage.append(row)
                continue
            if usage:
                total = sum(Decimal(entry["credits"]) for entry in usage)
                ledger_row(
                    "usage",
                    total,
                    usage[-1]["balance_after"],
                    "1 entry" if len(usage) == 1 else f"{len(usage)} entries",
                )
                usage = []
            if row is not None:
                ledger_row(
                    row["kind"],
                    row["credits"],
                    row["balance_after"],
                    f"{row['source_kind']} {row['source_id']}",
                )

    def check_books(self) -> None:
        """Entries add up to the balance; every invariant holds; the local Stripe saw nothing odd."""
        total = sum(Decimal(row["credits"]) for row in self.api.all_transactions())
        check(total == self.balance, f"the entries add up to {total}, the balance is {self.balance}")
        say(f"the entries add up to the balance, {self.balance}")
        result = self.stack.try_flask("check")
        check(result.returncode == 0, f"flask check: {result.stdout}{result.stderr}")
        say(f"flask check: {result.stdout.strip()}")
        violations = self.control.look("violations")
        check(violations == [], f"the local Stripe was asked for what Stripe would not do: {violations}")
        say("the local Stripe was asked for nothing that Stripe would refuse to understand")

    def _usage_event(self, number: int) -> dict[str, Any]:
        return {
            "id": f"usage-{number}",
            "action": "message",
            "agent": "researcher",
            "run_id": f"run-{number // 50}",
        }

    def _charges(self) -> dict[str, int]:
        charges: dict[str, int] = self.control.look("charges")
        return charges

    def _event(self, kind: str) -> dict[str, Any]:
        """The event of this type, once the worker is through with it."""
        query = "select id, state, reason from billing.stripe_events where type = %s and state = any(%s)"
        with psycopg.connect(self.stack.settings["DATABASE_URL"], autocommit=True) as connection:
            row = await_value(
                lambda: connection.execute(query, [kind, list(EVENT_FINISHED)]).fetchone(),
                f"the event {kind} to be worked off",
            )
        return dict(zip(("id", "state", "reason"), row, strict=True))

    def _balance_is(self, wanted: Decimal) -> None:
        found = self.api.available()
        check(found == wanted, f"the balance is {found}, not {wanted}")
        self.balance = found

    def _await_balance(self, wanted: Decimal, what: str) -> float:
        started = time.monotonic()
        await_value(lambda: self.api.available() == wanted, f"{what} (a balance of {wanted})")
        self._balance_is(wanted)
        return time.monotonic() - started


def check(holds: bool, complaint: str) -> None:
    """Raise CheckFailed unless it holds."""
    if not holds:
        raise CheckFailed(complaint)


def say(text: str) -> None:
    """A line below the step's title."""
    print(f"     {text}", flush=True)


def ledger_row(kind: str, credits: object, balance: object, source: str) -> None:
    """One line of the ledger's table."""
    say(f"{kind:<14} {Decimal(str(credits)):>+10} {balance!s:>10}  {source}")


def tell(demo: Demo) -> None:
    """Go through the steps, with the balance after each."""
    for number, (title, step) in enumerate(demo.steps(), 1):
        print(f"\n{number}.  {title}", flush=True)
        try:
            step()
            print(f"     balance {demo.balance}", flush=True)
        except CheckFailed as failure:
            raise CheckFailed(f"step {number}, {title.lower()}: {failure}") from None
        except EmbeddedError as failure:
            raise CheckFailed(f"step {number}, {title.lower()}: {failure}") from failure


def main() -> int:
    """Run the demo; 1 when anything is not as it must be."""
    started = time.monotonic()
    print("Starting PostgreSQL, Redis, local Stripe, Supabase, web, payments, worker, scheduler", flush=True)
    stack = Stack(settings={"SIGNUP_CREDITS": str(SIGNUP)}, report=print)
    try:
        with stack:
            print(f"Ready after {time.monotonic() - started:.1f} s on {stack.url}")
            try:
                tell(Demo(stack))
            except Exception:
                sys.stderr.write(f"\n{stack.log_tails()}\n")
                raise
    except (CheckFailed, EmbeddedError) as failure:
        sys.stderr.write(f"\nFAILED: {failure}\n")
        return 1
    print(f"\nEvery check holds. {time.monotonic() - started:.0f} s in all; nothing is left running.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
