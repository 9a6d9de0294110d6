"""A Stripe in memory with the gateway's own interface, for branches that are slow to reach in a real server.

It keeps what matters to the state machine: idempotency keys with their first answer, PaymentIntents that
charge at most once, answers that get lost, and refusals.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from shared.errors import StripeUnavailable
from shared.models import Topup
from shared.seals import Sealer
from shared.stripe_client import (
    AuthenticationRequired,
    CardDeclined,
    StripeData,
    StripeGateway,
    StripeRefused,
)


class FakeStripe(StripeGateway):
    """`card`: what the saved card answers; `faults`: raised instead of a call; `lost`: after it executed."""

    def __init__(self) -> None:
        self.sealer = Sealer("a test key")
        self.intents: dict[str, StripeData] = {}
        self.sessions: dict[str, StripeData] = {}
        self.saved: dict[str, Any] = {}
        self.faults: dict[str, list[Exception]] = defaultdict(list)
        self.lost: dict[str, int] = defaultdict(int)
        self.calls: list[tuple[str, str]] = []
        self.card = "ok"
        self.holder: str | None = "cus_test"
        self.before_confirm: Callable[[], None] = lambda: None

    @property
    def charges(self) -> list[StripeData]:
        """PaymentIntents that took money."""
        return [intent for intent in self.intents.values() if intent["status"] == "succeeded"]

    def count(self, operation: str) -> int:
        return sum(1 for name, _ in self.calls if name == operation)

    def add_session(self, payment: StripeData, *, session_id: str = "cs_1", **changes: Any) -> StripeData:
        metadata = {"refill_payment_id": payment["id"], "refill_account_id": payment["account_id"]}
        session = {
            "id": session_id,
            "object": "checkout.session",
            "status": "open",
            "payment_status": "unpaid",
            "payment_intent": None,
            "metadata": metadata,
        }
        self.sessions[session_id] = {**session, **changes}
        return self.sessions[session_id]

    def pay_session(self, session_id: str, payment: StripeData, **changes: Any) -> StripeData:
        """What Checkout does when its form is paid: a succeeded PaymentIntent, a complete Session."""
        session = self.sessions[session_id]
        intent = self.add_intent(
            f"pi_{session_id}",
            status="succeeded",
            amount=payment["amount"],
            amount_received=payment["amount"],
            currency=payment["currency"],
            customer=payment["stripe_customer_id"],
            setup_future_usage="off_session",
            payment_method={
                "id": "pm_new",
                "customer": payment["stripe_customer_id"],
                "card": {"brand": "visa", "last4": "4242", "fingerprint": "f2"},
            },
            latest_charge={"id": "ch_1", "created": 1_790_000_000, "receipt_url": "https://stripe.test/r"},
            metadata=session["metadata"],
        )
        intent.update(changes)
        session.update(status="complete", payment_status="paid", payment_intent=intent)
        return intent

    def add_intent(self, intent_id: str, **fields: Any) -> StripeData:
        self.intents[intent_id] = {
            "id": intent_id,
            "object": "payment_intent",
            "metadata": {},
            "last_payment_error": None,
            "latest_charge": None,
            "created": 1_790_000_000,
            **fields,
        }
        return self.intents[intent_id]

    def retrieve_session(self, session_id: str) -> StripeData:
        return self._call(
            "retrieve_session", session_id, None, lambda: self._known(self.sessions, session_id)
        )

    def session_of_intent(self, intent_id: str) -> StripeData | None:
        def find() -> StripeData | None:
            return next(
                (
                    row
                    for row in self.sessions.values()
                    if (row["payment_intent"] or {}).get("id") == intent_id
                ),
                None,
            )

        return self._call("session_of_intent", intent_id, None, find)

    def expire_session(self, session_id: str) -> StripeData:
        def expire() -> StripeData:
            session = self._known(self.sessions, session_id)
            if session["status"] != "open":
                raise StripeRefused("only open sessions expire", None, None)
            session["status"] = "expired"
            return session

        return self._call("expire_session", session_id, None, expire)

    def retrieve_intent(self, intent_id: str) -> StripeData:
        return self._call("retrieve_intent", intent_id, None, lambda: self._known(self.intents, intent_id))

    def holder_of(self, payment_method_id: str) -> str | None:
        self.calls.append(("holder_of", payment_method_id))
        return self.holder

    def create_topup_intent(self, topup: Topup) -> StripeData:
        metadata = {
            "refill_payment_id": topup["payment_id"],
            "refill_account_id": topup["account_id"],
            "refill_topup_id": topup["id"],
        }

        def create() -> StripeData:
            return self.add_intent(
                f"pi_{len(self.intents) + 1}",
                status="requires_confirmation",
                amount=topup["amount"],
                amount_received=0,
                currency=topup["currency"],
                customer=topup["stripe_customer_id"],
                payment_method=topup["payment_method"],
                metadata=metadata,
            )

        return self._call("create", topup["id"], f"{topup['id']}:create", create)

    def confirm_topup_intent(self, topup_id: str, intent_id: str) -> StripeData:
        self.before_confirm()
        return self._call(
            "confirm", intent_id, f"{topup_id}:confirm", lambda: self._confirm(self.intents[intent_id])
        )

    def cancel_intent(self, intent_id: str, *, topup_id: str | None = None) -> StripeData:
        def cancel() -> StripeData:
            intent = self._known(self.intents, intent_id)
            if intent["status"] in ("succeeded", "processing", "canceled"):
                raise StripeRefused("cannot be canceled", "payment_intent_unexpected_state", None)
            intent["status"] = "canceled"
            return intent

        return self._call("cancel", intent_id, topup_id and f"{topup_id}:cancel", cancel)

    def _confirm(self, intent: StripeData) -> StripeData:
        if intent["status"] not in ("requires_confirmation", "requires_payment_method"):
            raise StripeRefused("cannot be confirmed", "payment_intent_unexpected_state", None)
        kind, _, code = self.card.partition(":")
        if kind == "ok":
            intent.update(
                status="succeeded",
                amount_received=intent["amount"],
                latest_charge={"id": "ch_t", "created": 1_790_000_000},
            )
            return intent
        if kind == "processing":
            intent["status"] = "processing"
            return intent
        intent["status"] = "requires_payment_method"
        if kind == "authentication":
            intent["last_payment_error"] = {"code": "authentication_required"}
            raise AuthenticationRequired(intent)
        decline, _, advice = code.partition(":")
        intent["last_payment_error"] = {"code": "card_declined", "decline_code": decline}
        raise CardDeclined(decline, advice or None, intent)

    def _known(self, objects: dict[str, StripeData], object_id: str) -> StripeData:
        if object_id not in objects:
            raise StripeRefused("no such object", "resource_missing", "id")
        return objects[object_id]

    def _call(self, name: str, subject: str, key: str | None, run: Callable[[], StripeData]) -> StripeData:
        self.calls.append((name, subject))
        if self.faults[name]:
            raise self.faults[name].pop(0)
        if key is not None and key in self.saved:
            answer = self.saved[key]
        else:
            answer = self._run(run)
            if key is not None:
                self.saved[key] = answer
        if self.lost[name]:
            self.lost[name] -= 1
            raise StripeUnavailable("the answer was lost", replayed=False)
        if isinstance(answer, Exception):
            raise answer
        return copy.deepcopy(answer)

    @staticmethod
    def _run(run: Callable[[], StripeData]) -> StripeData | Exception:
        try:
            return copy.deepcopy(run())
        except (StripeRefused, CardDeclined, AuthenticationRequired) as error:
            return error
