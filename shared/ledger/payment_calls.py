"""Payments and automatic top-up. One wrapper per SQL function; see shared.ledger."""

from __future__ import annotations

from typing import Any

from shared.charge_models import CustomerRequest
from shared.db import Json
from shared.ledger.calls import Calls
from shared.models import OpenTopup, Payment, Reversal, Settlement, Topup, Verdict
from shared.stripe_timing import LEASE_SECONDS


class PaymentCalls(Calls):
    """Payments and automatic top-up."""

    # Purchases and payments

    def link_customer(self, account_id: str, stripe_customer_id: str) -> str:
        """Binds the account to a Stripe customer, once; answers the customer that is bound."""
        return self._call("link_customer", p_account_id=account_id, p_stripe_customer_id=stripe_customer_id)

    def get_customer(self, account_id: str) -> dict[str, Any] | None:
        """stripe_customer_id, default_payment_method, card, deleted, cards_version; None when there is none yet."""
        return self._call("get_customer", p_account_id=account_id)

    def begin_customer(self, account_id: str) -> CustomerRequest:
        """The account's customer, or what Stripe is to be asked for, until link_customer. Refused unknown_account."""
        return self._call("begin_customer", p_account_id=account_id)

    def retry_customer(self, account_id: str, attempt: int, *, email_refused: bool) -> CustomerRequest:
        """Ends an attempt to make the customer: the next one has a key of its own. email_refused: without the address, which
        is flagged at the account, with a notice. Answers as begin_customer. Refused unknown_account.
        """
        return self._call(
            "retry_customer",
            p_account_id=account_id,
            p_attempt=attempt,
            p_email_refused=email_refused,
        )

    def forget_customer(self, stripe_customer_id: str) -> str | None:
        """Stripe does not know the customer any more: cards and default go, automatic charges pause as no_payment_method.
        Answers the account, or None when none has this customer now.
        """
        return self._call("forget_customer", p_stripe_customer_id=stripe_customer_id)

    def set_default_payment_method(
        self, account_id: str, payment_method: str | None, card: dict[str, Any] | None, actor: str
    ) -> dict[str, Any]:
        """The card for automatic charges; another card than before re-arms a paused auto top-up. Answers topup_due."""
        return self._call(
            "set_default_payment_method",
            p_account_id=account_id,
            p_payment_method=payment_method,
            p_card=Json(card) if card is not None else None,
            p_actor=actor,
        )

    def mark_customer_deleted(self, stripe_customer_id: str) -> str | None:
        """Stripe deleted the customer: auto top-up goes off, the books stay. Answers the account, or None."""
        return self._call("mark_customer_deleted", p_stripe_customer_id=stripe_customer_id)

    def open_purchase(
        self, payment_id: str, account_id: str, package_id: str, quantity: int, customer_id: str
    ) -> Payment:
        """Freezes what is bought in a payments row before Stripe is asked. Refused: unknown_account, unknown_package,
        topup_in_flight (an automatic charge is under way; it will be over in seconds).
        """
        return self._call(
            "open_purchase",
            p_payment_id=payment_id,
            p_account_id=account_id,
            p_package_id=package_id,
            p_quantity=quantity,
            p_customer_id=customer_id,
        )

    def attach_checkout_session(self, payment_id: str, session_id: str, url: str) -> Payment:
        """Stores the Checkout Session of a purchase, and lets the sweep ask for its outcome from a minute on."""
        return self._call(
            "attach_checkout_session", p_payment_id=payment_id, p_session_id=session_id, p_url=url
        )

    def get_payment(self, payment_id: str) -> Payment | None:
        """A payment by its id, or None."""
        return self._call("get_payment", p_payment_id=payment_id)

    def find_payment(self, stripe_id: str) -> Payment | None:
        """A payment by its PaymentIntent (pi_…) or Checkout Session (cs_…), or None."""
        return self._call("find_payment", p_stripe_id=stripe_id)

    def open_checkouts(self, account_id: str) -> list[Payment]:
        """Purchases whose Checkout Session or PaymentIntent may still be paid."""
        return self._call("open_checkouts", p_account_id=account_id)

    def settle_payment(self, payment_id: str, facts: dict[str, Any]) -> Settlement:
        """The one grant path: what Stripe says was paid is compared with our row, then granted once, for ever.

        facts: payment_intent, customer, amount_received, currency, charge, receipt_url, occurred_at (epoch seconds),
        payment_method, card, saved (the card may be used off session), checkout_session. Also closes the payment's top-up.
        """
        return self._call("settle_payment", p_payment_id=payment_id, p_facts=Json(facts))

    def fail_payment(self, payment_id: str, status: str, reason: str | None) -> Payment:
        """processing, failed or canceled, unless the payment has already succeeded or was parked."""
        return self._call("fail_payment", p_payment_id=payment_id, p_status=status, p_reason=reason)

    def await_card_holder(self, payment_id: str) -> Payment:
        """The bank asks for the card holder of a purchase: it stays payable for a day, and the account is told, once.
        Refused not_found.
        """
        return self._call("await_card_holder", p_payment_id=payment_id)

    def get_reversals(self, payment_id: str | None, invoice_id: str | None = None) -> dict[str, Any]:
        """Refunds, disputes and warnings of a payment or of an invoice (one id), as mirrored: version, refunded_credits,
        disputed_credits, reversals. Refused not_found.
        """
        return self._call("get_reversals", p_payment_id=payment_id, p_invoice_id=invoice_id)

    def reverse_payment(
        self, payment_id: str | None, version: int, facts: dict[str, Any], invoice_id: str | None = None
    ) -> Reversal:
        """Takes credits back, or gives them back, by all that Stripe says of the refunds and disputes of a payment or of an
        invoice (one id) now.

        facts: refunds [{id, amount, status, reason, created}], disputes [the same and withdrawn], freeze_on. version: of
        get_reversals before Stripe was read; outcome stale asks to read both again. Refused not_found.
        """
        return self._call(
            "reverse_payment",
            p_payment_id=payment_id,
            p_version=version,
            p_facts=Json(facts),
            p_invoice_id=invoice_id,
        )

    def warn_of_fraud(
        self, warning_id: str, payment_id: str | None, fraud_type: str | None, invoice_id: str | None = None
    ) -> dict[str, Any]:
        """An early fraud warning of a payment or of an invoice (one id): automatic charges pause, operators are told.
        Refused not_found.
        """
        return self._call(
            "warn_of_fraud",
            p_warning_id=warning_id,
            p_payment_id=payment_id,
            p_fraud_type=fraud_type,
            p_invoice_id=invoice_id,
        )

    def postpone_payment_check(self, payment_id: str) -> None:
        """Nothing new at Stripe: look again later (2 minutes; after an hour, an hour; a parked one: when asked to)."""
        self._call("postpone_payment_check", p_payment_id=payment_id)

    # Auto top-up

    def get_auto_topup(self, account_id: str) -> dict[str, Any]:
        """Settings and state of auto top-up; defaults when it was never set."""
        return self._call("get_auto_topup", p_account_id=account_id)

    def set_auto_topup(self, account_id: str, settings: dict[str, Any], actor: str) -> dict[str, Any]:
        """Switches on or changes (with consent), or off (always works). settings: enabled, threshold, mode, credits,
        package_id, caps{day, month, per_hour, currency}, text_version, charge{amount, currency}: the smallest charge that
        was shown, to be compared with that of now. Answers as get_auto_topup plus topup_due.

        Refused: unknown_account, invalid_auto_topup (the sentence says which rule), consent_required,
        unknown_package.
        """
        return self._call("set_auto_topup", p_account_id=account_id, p_settings=Json(settings), p_actor=actor)

    def resume_auto_topup(self, account_id: str, actor: str) -> dict[str, Any]:
        """Lifts a pause by a person's decision. Answers as get_auto_topup plus topup_due. Refused: unknown_account,
        state_conflict (off), consent_required (credits cost more than was agreed to).
        """
        return self._call("resume_auto_topup", p_account_id=account_id, p_actor=actor)

    def open_topup(self, account_id: str, topup_id: str, payment_id: str) -> OpenTopup:
        """The governor: opens the account's one charge if threshold, consent, caps and back-off allow it."""
        return self._call("open_topup", p_account_id=account_id, p_topup_id=topup_id, p_payment_id=payment_id)

    def claim_topup(
        self,
        topup_id: str,
        *,
        claimant: str | None = None,
        force: bool = False,
        lease_seconds: int = LEASE_SECONDS,
    ) -> Topup | None:
        """Leases a live top-up to this worker; None when it is finished, leased, or not due. force: also before it is due.
        claimant: the broker's message, whose own former lease does not count.
        """
        return self._call(
            "claim_topup",
            p_topup_id=topup_id,
            p_lease_seconds=lease_seconds,
            p_claimant=claimant,
            p_force=force,
        )

    def attach_topup_intent(self, topup_id: str, payment_intent_id: str) -> None:
        """Stores the PaymentIntent before it is confirmed: until here no money can have moved."""
        self._call(
            "attach_topup_intent",
            p_topup_id=topup_id,
            p_payment_intent_id=payment_intent_id,
            p_lease_seconds=LEASE_SECONDS,
        )

    def begin_topup_charge(self, topup_id: str) -> Verdict:
        """Looks once more, under the account's lock, whether a charge is wanted, allowed and needed. Without go the top-up
        is canceled, or canceling if it was sent before.
        """
        return self._call("begin_topup_charge", p_topup_id=topup_id, p_lease_seconds=LEASE_SECONDS)

    def finish_topup(self, topup_id: str, state: str, facts: dict[str, Any]) -> dict[str, Any]:
        """declined, action_required, unknown, processing, canceling or canceled. facts: decline_code, advice_code, reason,
        intent_status (Stripe's word, without which what was sent is not canceled), ends_as and lease_seconds (of canceling).
        A succeeded charge goes through settle_payment. Answers state, paused_reason, topup_due. Refused: invalid_value,
        not_found, state_conflict (workers/topup_steps.py: TRANSITIONS).
        """
        return self._call("finish_topup", p_topup_id=topup_id, p_state=state, p_facts=Json(facts))

    def release_topup(self, topup_id: str, reason: str, delay_seconds: int) -> None:
        """Gives the lease back, to be taken up again after the delay; counts nothing."""
        self._call("release_topup", p_topup_id=topup_id, p_reason=reason, p_delay_seconds=delay_seconds)

    def find_topup(self, topup_id: str) -> Topup | None:
        """A top-up by its id, or None."""
        return self._call("find_topup", p_topup_id=topup_id)

    def list_topups(self, account_id: str | None, state: str | None, limit: int) -> list[Topup]:
        """The newest top-ups, of one account or state if given."""
        return self._call("list_topups", p_account_id=account_id, p_state=state, p_limit=limit)
