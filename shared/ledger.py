"""One typed wrapper per SQL function of schema `billing`, under the same name, and nothing else.

Web and workers change state through these calls only. Each is one transaction. Each may be repeated with the same
arguments when its answer was lost: the second run finds the first one's row and changes nothing more.
Credits are micro-credits, money is minor units of its currency, times are ISO 8601 strings of the database's clock.
Refusals are raised as `errors.Refused` with the codes that the SQL file names; absence of the database as
`errors.DatabaseUnavailable`.
"""

from __future__ import annotations

from typing import Any

from shared.db import Database, Json
from shared.models import (
    Account,
    ApiKey,
    DueWork,
    OpenTopup,
    Payment,
    Settlement,
    Spend,
    StripeEvent,
    Topup,
    UsageResult,
    Verdict,
    Violation,
)

Page = dict[str, Any]
"""`{"data": [...], "next_cursor": str | None}`."""


class Ledger:
    """The SQL functions over one database seam."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def _call(self, function: str, **params: object) -> Any:
        return self.database.call(function, **params)

    # Accounts, members and keys

    def open_account(
        self,
        account_id: str,
        name: str,
        email: str | None,
        owner_id: str | None,
        signup_credits: int,
        actor: str,
    ) -> Account:
        """Opens an account, its balance row and its sign-up grant, once; a known id answers the account as it is."""
        return self._call(
            "open_account",
            p_account_id=account_id,
            p_name=name,
            p_email=email,
            p_owner_id=owner_id,
            p_signup_credits=signup_credits,
            p_actor=actor,
        )

    def get_account(self, account_id: str) -> Account:
        """The account; Refused unknown_account."""
        return self._call("get_account", p_account_id=account_id)

    def get_balance(self, account_id: str) -> dict[str, Any]:
        """available, held, balance, debt, status, low, lots, auto_topup, runway_days; Refused unknown_account."""
        return self._call("get_balance", p_account_id=account_id)

    def create_api_key(
        self, key_id: str, name: str, prefix: str, key_hash: bytes, scopes: list[str], account_id: str | None
    ) -> ApiKey:
        """Stores a key's hash."""
        return self._call(
            "create_api_key",
            p_id=key_id,
            p_name=name,
            p_prefix=prefix,
            p_hash=key_hash.hex(),
            p_scopes=scopes,
            p_account_id=account_id,
        )

    def find_api_key(self, key_hash: bytes) -> ApiKey | None:
        """The live key with this hash, or None (unknown or revoked)."""
        return self._call("find_api_key", p_hash=key_hash.hex())

    def list_api_keys(self) -> list[ApiKey]:
        """All keys, newest first."""
        return self._call("list_api_keys")

    def revoke_api_key(self, name_or_prefix: str) -> list[ApiKey]:
        """Revokes by name or prefix; Refused not_found when no live key matches."""
        return self._call("revoke_api_key", p_name_or_prefix=name_or_prefix)

    # Catalogue

    def list_packages(self) -> list[dict[str, Any]]:
        """Active packages: id, name, credits, amount, currency."""
        return self._call("list_packages")

    def list_plans(self) -> list[dict[str, Any]]:
        """Active plans: id, name, credits_per_cycle, amount, currency, interval."""
        return self._call("list_plans")

    def list_actions(self) -> list[dict[str, Any]]:
        """Actions and what one unit costs now: action, credits, description."""
        return self._call("list_actions")

    def set_action_cost(
        self, action: str, credits: int, description: str | None, actor: str
    ) -> dict[str, Any]:
        """A new price for an action from now on."""
        return self._call(
            "set_action_cost", p_action=action, p_credits=credits, p_description=description, p_actor=actor
        )

    # Spending

    def spend_credits(self, account_id: str, event: dict[str, Any]) -> Spend:
        """Spends once for event["id"]. The event has action and quantity, or amount (micro-credits); may have agent,
        department_id, member_id, run_id, dimensions, metadata, occurred_at.

        Refused: unknown_account, insufficient_credits (extra: binding, needed, available, topup), account_paused,
        idempotency_conflict, unknown_action, invalid_value.
        """
        return self._call("spend_credits", p_account_id=account_id, p_event=Json(event))

    def record_usage(
        self, events: list[Any], account_id: str | None = None, *, park: bool = False
    ) -> UsageResult:
        """Books usage that already happened, each event once. An event is as in spend_credits plus account_id, unless
        the argument names the account of all. park: what cannot be booked is kept in parked_usage.
        """
        return self._call("record_usage", p_events=Json(events), p_account_id=account_id, p_park=park)

    # History

    def list_transactions(
        self, account_id: str, limit: int, cursor: str | None, kind: str | None = None
    ) -> Page:
        """The account's ledger, newest first."""
        return self._call(
            "list_transactions", p_account_id=account_id, p_limit=limit, p_cursor=cursor, p_kind=kind
        )

    def list_usage(self, account_id: str, limit: int, cursor: str | None) -> Page:
        """The account's usage events, newest first."""
        return self._call("list_usage", p_account_id=account_id, p_limit=limit, p_cursor=cursor)

    def list_lots(self, account_id: str, limit: int, cursor: str | None) -> Page:
        """The account's lots, newest first."""
        return self._call("list_lots", p_account_id=account_id, p_limit=limit, p_cursor=cursor)

    def list_payments(self, account_id: str, limit: int, cursor: str | None) -> Page:
        """The account's payments, newest first."""
        return self._call("list_payments", p_account_id=account_id, p_limit=limit, p_cursor=cursor)

    def adjust_credits(
        self, adjustment_id: str, account_id: str, credits: int, reason: str, actor: str
    ) -> dict[str, Any]:
        """An operator's correction, once per adjustment_id; credits may be negative and may take the balance below zero."""
        return self._call(
            "adjust_credits",
            p_adjustment_id=adjustment_id,
            p_account_id=account_id,
            p_credits=credits,
            p_reason=reason,
            p_actor=actor,
        )

    # Purchases and payments

    def link_customer(self, account_id: str, stripe_customer_id: str) -> str:
        """Binds the account to a Stripe customer, once; answers the customer that is bound."""
        return self._call("link_customer", p_account_id=account_id, p_stripe_customer_id=stripe_customer_id)

    def get_customer(self, account_id: str) -> dict[str, Any] | None:
        """stripe_customer_id, default_payment_method, card, deleted; None when there is none yet."""
        return self._call("get_customer", p_account_id=account_id)

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
        topup_in_flight (an automatic charge is under way; it will be over in seconds)."""
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
        """Purchases whose Checkout Session may still be paid."""
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

    def postpone_payment_check(self, payment_id: str) -> None:
        """Nothing new at Stripe: look again later (2 minutes; after an hour, an hour)."""
        self._call("postpone_payment_check", p_payment_id=payment_id)

    # Inbox

    def record_stripe_event(
        self,
        event_id: str,
        event_type: str,
        object_id: str | None,
        livemode: bool,
        api_version: str | None,
        payload: bytes,
        occurred_at: int | None,
        parked_reason: str | None,
    ) -> dict[str, Any]:
        """Keeps a verified event, once. Answers state and fresh (false: it was known)."""
        return self._call(
            "record_stripe_event",
            p_id=event_id,
            p_type=event_type,
            p_object_id=object_id,
            p_livemode=livemode,
            p_api_version=api_version,
            p_payload=payload.hex(),
            p_occurred_at=occurred_at,
            p_parked_reason=parked_reason,
        )

    def claim_stripe_event(self, event_id: str) -> StripeEvent | None:
        """Leases the event to this worker; None when it is finished, leased, or was just parked for too many claims."""
        return self._call("claim_stripe_event", p_id=event_id)

    def finish_stripe_event(self, event_id: str, state: str, reason: str | None) -> None:
        """done, ignored or parked."""
        self._call("finish_stripe_event", p_id=event_id, p_state=state, p_reason=reason)

    def defer_stripe_event(self, event_id: str, reason: str) -> None:
        """Something else is away: again later, with doubling waits; does not count towards parking."""
        self._call("defer_stripe_event", p_id=event_id, p_reason=reason)

    def list_stripe_events(self, state: str | None, limit: int) -> list[dict[str, Any]]:
        """The newest events, of one state if given."""
        return self._call("list_stripe_events", p_state=state, p_limit=limit)

    def replay_stripe_event(self, event_id: str, actor: str) -> dict[str, Any]:
        """Makes a finished or parked event due again; Refused not_found."""
        return self._call("replay_stripe_event", p_id=event_id, p_actor=actor)

    # Auto top-up

    def get_auto_topup(self, account_id: str) -> dict[str, Any]:
        """Settings and state of auto top-up; defaults when it was never set."""
        return self._call("get_auto_topup", p_account_id=account_id)

    def set_auto_topup(self, account_id: str, settings: dict[str, Any], actor: str) -> dict[str, Any]:
        """Switches on or changes (with consent), or off (always works). settings: enabled, threshold, mode, credits,
        package_id, caps{day, month, per_hour, currency}, text_version. Answers as get_auto_topup plus topup_due.

        Refused: unknown_account, invalid_auto_topup (the sentence says which rule), consent_required, no_payment_method,
        unknown_package.
        """
        return self._call("set_auto_topup", p_account_id=account_id, p_settings=Json(settings), p_actor=actor)

    def resume_auto_topup(self, account_id: str, actor: str) -> dict[str, Any]:
        """Lifts a pause by a person's decision. Answers as get_auto_topup plus topup_due."""
        return self._call("resume_auto_topup", p_account_id=account_id, p_actor=actor)

    def open_topup(self, account_id: str, topup_id: str, payment_id: str) -> OpenTopup:
        """The governor: opens the account's one charge if threshold, consent, caps and back-off allow it."""
        return self._call("open_topup", p_account_id=account_id, p_topup_id=topup_id, p_payment_id=payment_id)

    def claim_topup(self, topup_id: str) -> Topup | None:
        """Leases a top-up to this worker; None when it is finished or leased."""
        return self._call("claim_topup", p_topup_id=topup_id)

    def attach_topup_intent(self, topup_id: str, payment_intent_id: str) -> None:
        """Stores the PaymentIntent before it is confirmed: until here no money can have moved."""
        self._call("attach_topup_intent", p_topup_id=topup_id, p_payment_intent_id=payment_intent_id)

    def begin_topup_charge(self, topup_id: str) -> Verdict:
        """Under the account's lock, just before confirming: still wanted, allowed and needed?"""
        return self._call("begin_topup_charge", p_topup_id=topup_id)

    def finish_topup(self, topup_id: str, state: str, facts: dict[str, Any]) -> dict[str, Any]:
        """declined, action_required, unknown, processing or canceled. facts: decline_code, advice_code, reason, code.
        A succeeded charge goes through settle_payment. Answers state, paused_reason, topup_due.
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

    # Notices

    def claim_notice(self, notice_id: int) -> dict[str, Any] | None:
        """Leases an outbox row: id, account_id, account_name, email, topic, payload, created_at."""
        return self._call("claim_notice", p_id=notice_id)

    def finish_notice(self, notice_id: int, state: str, reason: str | None) -> None:
        """sent, skipped (no channel), or pending again after a failure, with doubling waits."""
        self._call("finish_notice", p_id=notice_id, p_state=state, p_reason=reason)

    # Periodic work

    def claim_slot(self, job: str, period_seconds: int) -> bool:
        """True for the one scheduler that fires the current slot of a job."""
        return self._call("claim_slot", p_job=job, p_period_seconds=period_seconds)

    def finish_job(self, job: str, result: dict[str, Any]) -> None:
        """Records that a run of the job ended, with what it found."""
        self._call("finish_job", p_job=job, p_result=Json(result))

    def job_status(self) -> list[dict[str, Any]]:
        """Last slot, start and end of every job, and its age in seconds."""
        return self._call("job_status")

    def due_work(self, limit: int) -> DueWork:
        """What stayed unfinished and is due now."""
        return self._call("due_work", p_limit=limit)

    def expire_lots(self, limit: int) -> int:
        """Expires lots of up to `limit` accounts; answers how many accounts it touched."""
        return self._call("expire_lots", p_limit=limit)

    def ensure_usage_partitions(self, months_ahead: int) -> int:
        """Creates the months of credit_usage that are missing; answers how many."""
        return self._call("ensure_usage_partitions", p_months_ahead=months_ahead)

    def check_invariants(self) -> list[Violation]:
        """Every invariant that does not hold; an empty list is what a sound book answers."""
        return self._call("check_invariants")

    def operations_summary(self) -> dict[str, Any]:
        """Counts and ages for readiness and metrics: events, top-ups, notices, parked rows."""
        return self._call("operations_summary")

    # Idempotency-Key

    def begin_request(self, caller: str, key: str, fingerprint: str) -> dict[str, Any]:
        """state: new, done (with status and body), in_flight, or conflict (another body)."""
        return self._call("begin_request", p_caller=caller, p_key=key, p_fingerprint=fingerprint)

    def finish_request(self, caller: str, key: str, status: int, body: Any) -> None:
        """Stores the answer for repeats."""
        self._call("finish_request", p_caller=caller, p_key=key, p_status=status, p_body=Json(body))

    def abandon_request(self, caller: str, key: str) -> None:
        """Nothing happened: a repeat may try again."""
        self._call("abandon_request", p_caller=caller, p_key=key)
