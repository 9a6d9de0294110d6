"""One payment's whole life at Stripe as a list of steps, each with the events that Stripe sends for it.

Stripe's objects grow along with the steps that have happened, so a reader sees them as they are at that time.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from tests.workers.fake_stripe import FakeStripe

Event = tuple[str, dict[str, Any]]
PRICE, CREDITS = {"subscription": 1900}, {"subscription": 500}
CREATED = 1_790_000_000


class GrowingStripe(FakeStripe):
    """The Stripe in memory, with charges, refunds, disputes, subscriptions and invoices."""

    def __init__(self) -> None:
        super().__init__()
        self.charged: dict[str, str] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.disputes: dict[str, dict[str, Any]] = {}
        self.invoices: dict[str, dict[str, Any]] = {}
        self.subscriptions: dict[str, dict[str, Any]] = {}
        self.client: Any = SimpleNamespace(
            v1=SimpleNamespace(
                invoices=SimpleNamespace(retrieve=lambda name: _answer(self.invoices[name])),
                subscriptions=SimpleNamespace(retrieve=lambda name: _answer(self.subscriptions[name])),
                invoice_payments=SimpleNamespace(list=self._invoice_payments),
            )
        )

    def list_reversals(self, intent_id: str) -> dict[str, Any]:
        found = {"refunds": self.refunds, "disputes": self.disputes}
        return {
            name: [copy.deepcopy(one) for one in all_.values() if one["payment_intent"] == intent_id]
            for name, all_ in found.items()
        }

    def intent_of_charge(self, charge_id: str) -> str | None:
        return self.charged[charge_id]

    def _invoice_payments(self, query: dict[str, Any]) -> Any:
        intent = (query.get("payment") or {}).get("payment_intent", "")
        name = query.get("invoice") or "in" + intent.removeprefix("pi")
        if name not in self.invoices:
            return SimpleNamespace(auto_paging_iter=lambda: iter(()))
        payment = {"invoice": name, "payment": {"payment_intent": "pi" + name.removeprefix("in")}}
        return SimpleNamespace(auto_paging_iter=lambda: iter([_answer(payment)]))


def _answer(found: dict[str, Any]) -> Any:
    return SimpleNamespace(to_dict=lambda: copy.deepcopy(found))


class Life:
    """What happens to one payment: `steps` in Stripe's order. Each changes objects and answers its events."""

    def __init__(self, stripe: GrowingStripe, random_: random.Random, kind: str, name: str) -> None:
        self.stripe, self.random, self.kind, self.name = stripe, random_, kind, name
        self.price, self.credits = PRICE.get(kind, 500), CREDITS.get(kind, 100)
        self.intent_id = f"pi_{name}"
        self.steps: list[Callable[[], list[Event]]] = []
        self.paid = False
        self.warned = False

    @property
    def intent(self) -> dict[str, Any]:
        return self.stripe.intents[self.intent_id]

    def plan(self) -> None:
        """Chooses what happens."""
        chosen = self.random.choice(
            ["paid", "paid", "paid", "slow", "tried twice", "slow failure", "canceled"]
        )
        if chosen == "tried twice":
            self.steps.append(self._declined)
        if chosen.startswith("slow"):
            self.steps.append(self._processing)
        if chosen == "slow failure":
            self.steps.append(self._failed)
        elif chosen == "canceled":
            self.steps.append(self._canceled)
        else:
            self.steps.append(self._succeeded)
            self._plan_reversals()

    def _plan_reversals(self) -> None:
        left = self.price
        later: list[list[Callable[[], list[Event]]]] = []
        for number in range(self.random.choice([0, 1, 1, 2, 3])):
            amount = self.random.randint(1, max(1, left // 2)) if self.random.random() < 0.7 else left
            if amount > left:
                break
            left -= amount
            later.append(self._refund(f"re_{self.name}_{number}", amount))
        if self.random.random() < 0.4:
            later.append(self._dispute(f"dp_{self.name}"))
        if self.random.random() < 0.2:
            later.append([self._warning])
        while any(later):  # each story in its own order, told between one another
            story = self.random.choice([one for one in later if one])
            self.steps.append(story.pop(0))

    # What Stripe says of the payment

    def _about_payment(self, session_event: str | None, intent_event: str, *more: str) -> list[Event]:
        events: list[Event] = [(intent_event, self.intent)]
        if self.kind == "checkout" and session_event:
            events.append((f"checkout.session.{session_event}", self.stripe.sessions[f"cs_{self.name}"]))
        if self.kind == "subscription":
            invoice = self.stripe.invoices[f"in_{self.name}"]
            events += [(one, invoice) for one in ("invoice.finalized", *more)]
            subscription = self.stripe.subscriptions[f"sub_{self.name}"]
            events += [(f"customer.subscription.{one}", subscription) for one in ("created", "updated")]
        return events

    def _session(self, **changes: Any) -> None:
        if self.kind == "checkout":
            self.stripe.sessions[f"cs_{self.name}"].update(payment_intent=self.intent, **changes)

    def _declined(self) -> list[Event]:
        self.intent.update(
            status="requires_payment_method",
            last_payment_error={"code": "card_declined", "decline_code": "insufficient_funds"},
        )
        return self._about_payment(None, "payment_intent.payment_failed", "invoice.payment_failed")

    def _processing(self) -> list[Event]:
        self.intent.update(status="processing", last_payment_error=None)
        self._session(status="complete", payment_status="unpaid")
        return self._about_payment("completed", "payment_intent.processing")

    def _failed(self) -> list[Event]:
        self._declined()
        return self._about_payment(
            "async_payment_failed", "payment_intent.payment_failed", "invoice.payment_failed"
        )

    def _canceled(self) -> list[Event]:
        self.intent.update(status="canceled", cancellation_reason="abandoned")
        if self.kind == "checkout":
            self.stripe.sessions[f"cs_{self.name}"].update(status="expired")
        if self.kind == "subscription":
            self.stripe.invoices[f"in_{self.name}"].update(status="void")
        return self._about_payment("expired", "payment_intent.canceled", "invoice.voided")

    def _succeeded(self) -> list[Event]:
        self.paid = True
        self.stripe.charged[f"ch_{self.name}"] = self.intent_id
        was_slow = self.intent["status"] == "processing"
        charge = {"id": f"ch_{self.name}", "created": CREATED, "receipt_url": "https://stripe.test/r"}
        self.intent.update(
            status="succeeded", amount_received=self.price, last_payment_error=None, latest_charge=charge
        )
        self._session(status="complete", payment_status="paid")
        if self.kind == "subscription":
            self.stripe.invoices[f"in_{self.name}"].update(status="paid", amount_paid=self.price)
        kind = "async_payment_succeeded" if was_slow else "completed"
        events = self._about_payment(kind, "payment_intent.succeeded", "invoice.paid")
        return [*events, ("charge.succeeded", self._charge())]

    # And after it was paid

    def _charge(self) -> dict[str, Any]:
        return {"id": f"ch_{self.name}", "object": "charge", "payment_intent": self.intent_id}

    def _refund(self, name: str, amount: int) -> list[Callable[[], list[Event]]]:
        begins = self.random.choice(["pending", "succeeded", "requires_action"])
        ends = self.random.choice(["succeeded", "succeeded", "failed", "canceled", begins])

        def begin() -> list[Event]:
            self.stripe.refunds[name] = {
                "id": name,
                "object": "refund",
                "amount": amount,
                "status": begins,
                "reason": None,
                "created": CREATED,
                "payment_intent": self.intent_id,
                "charge": f"ch_{self.name}",
            }
            return [("refund.created", self.stripe.refunds[name]), ("charge.refunded", self._charge())]

        def end() -> list[Event]:
            self.stripe.refunds[name]["status"] = ends
            kinds = ["refund.updated", *(["refund.failed"] if ends == "failed" else [])]
            return [(one, self.stripe.refunds[name]) for one in kinds]

        return [begin] if begins == ends else [begin, end]

    def _dispute(self, name: str) -> list[Callable[[], list[Event]]]:
        amount = self.random.choice([self.price, self.price // 2])

        def tell(event: str, status: str, moved: int = 0) -> Callable[[], list[Event]]:
            def step() -> list[Event]:
                found = self.stripe.disputes.setdefault(
                    name,
                    {
                        "id": name,
                        "object": "dispute",
                        "amount": amount,
                        "reason": "fraudulent",
                        "created": CREATED,
                        "payment_intent": self.random.choice([self.intent_id, None]),
                        "charge": f"ch_{self.name}",
                        "balance_transactions": [],
                    },
                )
                found["status"] = status
                if moved:
                    found["balance_transactions"].append({"amount": moved})
                told = copy.deepcopy(found)
                found["payment_intent"] = self.intent_id
                return [(f"charge.dispute.{event}", told)]

            return step

        story = []
        if self.random.random() < 0.4:
            story.append(tell("created", "warning_needs_response"))
            if self.random.random() < 0.4:
                return [*story, tell("closed", "warning_closed")]
            story.append(tell("updated", "needs_response"))
        else:
            story.append(tell("created", "needs_response"))
        story.append(tell("funds_withdrawn", "needs_response", -amount))
        story.append(tell("updated", "under_review"))
        end = self.random.choice(["won", "lost", None])
        if end == "won":
            story += [tell("funds_reinstated", "won", amount), tell("closed", "won")]
        elif end == "lost":
            story.append(tell("closed", "lost"))
        return story

    def _warning(self) -> list[Event]:
        self.warned = True
        warning = {
            "id": f"issfr_{self.name}",
            "object": "radar.early_fraud_warning",
            "charge": f"ch_{self.name}",
            "fraud_type": "misc",
        }
        return [("radar.early_fraud_warning.created", warning)]

    # What the books must say in the end

    def taken(self) -> tuple[int, int, bool, bool]:
        """Credits (micro) taken back for refunds, and for disputes beyond them; a dispute freezes, one was lost."""
        refunds = [one for one in self.stripe.refunds.values() if one["payment_intent"] == self.intent_id]
        disputes = [one for one in self.stripe.disputes.values() if one["payment_intent"] == self.intent_id]
        refunded = sum(one["amount"] for one in refunds if one["status"] not in ("failed", "canceled"))
        withdrawn = sum(
            one["amount"]
            for one in disputes
            if one["status"] == "lost"
            or (one["status"] != "won" and sum(moved["amount"] for moved in one["balance_transactions"]) < 0)
        )
        grant = self.credits * 1_000_000
        by_refunds = min(grant, round(grant * refunded / self.price))
        both = min(grant, round(grant * (refunded + withdrawn) / self.price))
        states = {one["status"] for one in disputes}
        inquiries = {state for state in states if state.startswith("warning_")}
        return (
            by_refunds,
            both - by_refunds,
            bool(states - inquiries - {"won", "lost"}),
            "lost" in states,
        )
