"""What a test or a demo may do to the local Stripe; `control_http.py` serves the same calls under `/_local/`.

Every method takes and gives plain JSON values: `POST /_local/<method>` with the keyword arguments as a JSON
object is the Python call; those that only look are `GET /_local/<method>?argument=value`.

Customers    POST /_local/checkout/{id}/pay     {"card": "4242424242424242", "outcome": "async"}
                                                {"method": "us_bank_account", "account": "000222222227"};
                                                methods us_bank_account, sepa_debit, link, cashapp
                                                {"promotion_code": "SPRING"}: typed in before paying
             POST /_local/checkout/{id}/expire  (Python: pay_checkout, expire_checkout)
             POST /_local/authenticate          {"id": "pi_1", "succeed": true}: answer 3-D Secure
             POST /_local/pay_from_dashboard    {"customer": "cus_1", "amount": 500}: without metadata
Banks        POST /_local/behave                {"id": "pm_1 or cus_1", "outcome": "decline", "times": 2,
                                                 "decline_code": "lost_card", "advice_code": "..."}
             POST /_local/settle                {"id": "pi_1", "outcome": "failed"}: end `processing`; bank
                                                debits end by themselves after 4 (US) or 5 (SEPA) days
             POST /_local/open_dispute          {"charge": "ch_1", "amount": 500, "inquiry": false}
             POST /_local/escalate_dispute      {"id": "du_1"}
             POST /_local/close_dispute         {"id": "du_1", "won": true}
             POST /_local/correct_dispute       {"id": "du_1", "amount": 300}: the bank changed the amount
             POST /_local/fail_refund           {"id": "re_1"}
             POST /_local/update_card           {"id": "pm_1", "exp_year": 2040}: the card updater
Stripe       POST /_local/cancel_payment        {"id": "pi_1"}: also one that Checkout made
             POST /_local/renew                 {"id": "sub_1"}: bill the next cycle, or end the plan with it
             POST /_local/emit                  {"type": "any.type", "object": {}}: not validated
             POST /_local/advance               {"seconds": 3600}: the clock of everything; subscriptions
                                                renew, trials end, failed invoices are retried
             POST /_local/portal                {"saved": false}: portal sessions are refused
             POST /_local/restrict              {"resource": "billing_portal", "access": "none"}: 403 from
                                                now on; access none, read, or write (allowed again)
             POST /_local/other_mode            {"id": "price_1"}: exists in live mode only
             POST /_local/prune_keys            {"key": "k"}, or {} for all idempotency keys; the clock
                                                prunes them after a day
             POST /_local/reset                 an empty account
Requests     POST /_local/fail                  {"kind": 500, "path": "/v1/payment_intents/*/confirm",
                                                 "stage": "after", "times": 1}: see `faults.py`
             POST /_local/slow                  {"path": "/v1/*", "seconds": 0.2}; 0 ends it
             POST /_local/clear_faults          GET /_local/faults shows all rules
Webhooks     POST /_local/webhooks              {"action": "lose", "type": "checkout.*", "times": 1};
                                                 actions lose, delay (`seconds`), duplicate, hold
             POST /_local/release               {"order": "fifo, reversed or shuffled"}: what is held
             POST /_local/resend                {"id": "evt_1"}; retry_now; clear_webhooks
             POST /_local/set_webhook           {"secret": "whsec_new", "url": "http://..."}
Asserts      GET  /_local/requests              ?method=POST&path=/v1/refunds
             GET  /_local/charges               ?customer=cus_1: {succeeded, failed, amount, refunded}
             GET  /_local/deliveries            ?type=payment_intent.*
             GET  /_local/idle                  true when no delivery is pending
             GET  /_local/violations            must be []: shapes that Stripe would not have sent
"""

from __future__ import annotations

from typing import Any

from local.stripe import billing, cards, charging, checkout_flow, disputes, methods
from local.stripe.control_plumbing import Plumbing
from local.stripe.errors import StripeError, invalid
from local.stripe.objects import payment_intent
from local.stripe.resources import charges as charges_api
from local.stripe.resources import checkout, payment_intents, payment_methods
from local.stripe.routing import changed
from local.stripe.store import Obj, public

READING = ("faults", "deliveries", "idle", "requests", "charges", "violations")


class Control(Plumbing):
    """The control API; see the module's docstring."""

    def pay_checkout(
        self,
        id: str,
        card: str = "4242424242424242",
        outcome: str | None = None,
        email: str | None = None,
        name: str | None = None,
        authenticate: bool | None = True,
        method: str = "card",
        account: str | None = None,
        promotion_code: str | None = None,
    ) -> Obj:
        """Fill in and submit the page. `outcome`: ok, async, authentication_required, or a decline code.

        `method`: card, us_bank_account, sepa_debit, link or cashapp; `account` its account number or IBAN.
        When the card asks for 3-D Secure, that is authorised, refused (False), or left open (None).
        """
        year = self._engine.now() // 31_556_952 + 1970 + 2
        card_details = {"number": card, "exp_month": 12, "exp_year": year, "cvc": "123"}
        before = self._do(lambda call: checkout.load(call, id))
        email = email or checkout_flow.known_email(before) or "customer@example.com"
        details = (
            {"type": "card", "card": card_details} if method == "card" else methods.typed(method, account)
        )
        session = self._do(
            checkout_flow.pay, id, details, email, name or "Local Customer", outcome, promotion_code
        )
        if session["status"] == "open" and authenticate is not None:
            intent = session["payment_intent"] or session.get("_intent") or session["setup_intent"]
            self._do(checkout_flow.authenticate, intent, authenticate)
        return self._shown("checkout.session", id)

    def expire_checkout(self, id: str) -> Obj:
        session = self._do(lambda call: checkout.load(call, id))
        if session["status"] != "open":
            raise invalid(f"This Checkout Session is {session['status']}.")
        return self._do(checkout.close, session)

    def expire_due(self) -> int:
        """Expire every session whose time is over; the server does it in the background too."""
        now = self._engine.now()
        where = "json_extract(body, '$.status') = 'open' and json_extract(body, '$.expires_at') <= ?"
        with self._engine.transaction():
            due = self._engine.store.select("checkout.session", where, (now,))
            for session in due:
                checkout.close(self._engine.call(), session)
        return len(due)

    def run_due(self) -> int:
        """Renew, retry and end what is due by the clock; the server does it in the background too."""
        with self._engine.transaction():
            call = self._engine.call()
            return checkout_flow.settle_due(call) + billing.run_due(call)

    def authenticate(self, id: str, succeed: bool = True) -> Obj:
        """Answer 3-D Secure for a PaymentIntent or SetupIntent that requires action."""
        return self._do(checkout_flow.authenticate, id, succeed)

    def settle(self, id: str, outcome: str = "succeeded", decline_code: str = "generic_decline") -> Obj:
        """End a processing PaymentIntent: `succeeded` or `failed`."""
        if outcome not in ("succeeded", "failed"):
            raise ValueError("outcome must be succeeded or failed")
        failure = cards.decline("card_declined", decline_code) if outcome == "failed" else None
        return self._do(checkout_flow.settle, id, failure)

    def cancel_payment(self, id: str) -> Obj:
        return self._do(lambda call: payment_intents.cancel_intent(call, call.get("payment_intent", id)))

    def behave(
        self,
        id: str,
        outcome: str | None = "decline",
        decline_code: str | None = "generic_decline",
        code: str = "card_declined",
        advice_code: str | None = None,
        network_decline_code: str | None = None,
        times: int | None = None,
    ) -> dict[str, Any]:
        """What the next `times` (None: all) charges of a PaymentMethod or customer do; None undoes it.

        Outcomes: ok, decline, authentication_required, processing.
        """
        if outcome not in (None, "ok", "decline", "authentication_required", "processing"):
            raise ValueError("outcome must be ok, decline, authentication_required or processing")
        behaviour = outcome and {
            "outcome": outcome,
            "code": code,
            "decline_code": decline_code,
            "advice_code": advice_code,
            "network_decline_code": network_decline_code,
            "remaining": times,
        }
        with self._engine.transaction():
            self._engine.store.set_setting(f"behaviour:{id}", behaviour)
        return {"id": id, "behaviour": behaviour}

    def pay_from_dashboard(
        self,
        customer: str | None = None,
        amount: int = 500,
        currency: str = "usd",
        card: str = "pm_card_visa",
    ) -> Obj:
        """A payment that a person made by hand: no metadata, no request."""

        def make(call: Any) -> Obj:
            pi = payment_intent(call, amount, currency)
            pi["customer"] = customer
            call.put(pi)
            call.emit("payment_intent.created", pi)
            return charging.pay(call, pi, payment_methods.find(call, card), charging.Attempt())

        return self._do(make)

    def open_dispute(
        self, charge: str, amount: int | None = None, reason: str = "fraudulent", inquiry: bool = False
    ) -> Obj:
        return self._do(
            lambda call: disputes.open_dispute(call, call.get("charge", charge), amount, reason, inquiry)
        )

    def escalate_dispute(self, id: str) -> Obj:
        return self._do(lambda call: disputes.escalate(call, call.get("dispute", id)))

    def close_dispute(self, id: str, won: bool) -> Obj:
        return self._do(lambda call: disputes.close(call, call.get("dispute", id), won))

    def correct_dispute(self, id: str, amount: int) -> Obj:
        return self._do(lambda call: disputes.correct(call, call.get("dispute", id), amount))

    def fail_refund(self, id: str) -> Obj:
        return self._do(lambda call: charges_api.fail_refund(call, call.get("refund", id)))

    def renew(self, id: str, amount: int | None = None, billing_reason: str = "subscription_cycle") -> Obj:
        return self._do(billing.renew, id, amount, billing_reason)

    def update_card(
        self, id: str, exp_month: int = 12, exp_year: int = 2040, last4: str | None = None
    ) -> Obj:
        """The card network sent a new expiry or number; what made the old card decline is over."""

        def change(call: Any) -> Obj:
            pm = call.get("payment_method", id)
            before = public(pm)
            pm["card"].update(exp_month=exp_month, exp_year=exp_year, last4=last4 or pm["card"]["last4"])
            pm["_behaviour"] = cards.OK
            call.put(pm)
            call.emit("payment_method.automatically_updated", pm, changed(before, pm))
            return dict(pm)

        return self._do(change)

    def emit(
        self, type: str, object: dict[str, Any], previous_attributes: dict[str, Any] | None = None
    ) -> Obj:
        """Deliver an arbitrary event. It is not validated: unknown types and odd objects are the point."""
        data = {
            "object": object,
            **({"previous_attributes": previous_attributes} if previous_attributes else {}),
        }
        with self._engine.transaction():
            return self._engine.record(type, data, None, None)

    def advance(self, seconds: float) -> float:
        """Move the clock that `created` and `expires_at` go by; answers the whole offset."""
        with self._engine.transaction():
            self._engine.store.set_setting("clock_offset", self._engine.clock_offset + seconds)
        self.expire_due()
        self.run_due()
        return self._engine.clock_offset

    def _do(self, work: Any, *args: Any) -> Obj:
        """Run one of the account's own actions; a card's refusal keeps its effects and is raised."""
        refusal: StripeError | None = None
        with self._engine.transaction():
            try:
                with self._engine.attempt():
                    return dict(work(self._engine.call(), *args))
            except StripeError as error:
                refusal = error
        raise refusal

    def _shown(self, kind: str, id: str) -> Obj:
        with self._engine.lock:
            return dict(public(self._engine.need(kind, id)))
