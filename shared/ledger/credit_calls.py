"""Accounts, keys, the catalogue, spending and its history. One wrapper per SQL function; see shared.ledger."""

from __future__ import annotations

from datetime import date
from typing import Any

from shared.db import Json
from shared.ledger.calls import Calls, Page
from shared.models import Account, ApiKey, RateCard, Spend, UsageResult
from shared.operator_models import Adjustment


class CreditCalls(Calls):
    """Accounts, keys, the catalogue, spending and its history."""

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

    def edit_account(self, account_id: str, name: str | None, email: str | None, actor: str) -> Account:
        """Changes name or mail address, None leaves either, and tells the old address; Refused unknown_account."""
        return self._call("edit_account", p_account_id=account_id, p_name=name, p_email=email, p_actor=actor)

    def get_account(self, account_id: str) -> Account:
        """The account; Refused unknown_account."""
        return self._call("get_account", p_account_id=account_id)

    def erase_account(self, account_id: str, actor: str) -> Account:
        """Replaces personal data by a tombstone and keeps the books; Refused unknown_account, state_conflict."""
        return self._call("erase_account", p_account_id=account_id, p_actor=actor)

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
        """Active packages: id, name, credits, amount, currency; total and lines: what is charged for one."""
        return self._call("list_packages")

    def list_fee_rules(self) -> list[dict[str, Any]]:
        """Every rule of fees and taxes. percent is a decimal string, fixed is minor units."""
        return self._call("list_fee_rules")

    def set_fee_rule(self, rule: dict[str, Any], actor: str) -> dict[str, Any]:
        """Makes or changes the rule rule["id"]: kind, label, applies_to, currency, percent, fixed, active.
        Refused: invalid_value.
        """
        return self._call("set_fee_rule", p_rule=Json(rule), p_actor=actor)

    def remove_fee_rule(self, rule_id: str, actor: str) -> dict[str, Any]:
        """Removes a rule and answers it; Refused not_found."""
        return self._call("remove_fee_rule", p_id=rule_id, p_actor=actor)

    def list_plans(self) -> list[dict[str, Any]]:
        """Active plans: id, name, credits_per_cycle, amount, currency, interval."""
        return self._call("list_plans")

    def list_actions(self, account_id: str | None = None, *, upcoming: bool = False) -> list[RateCard]:
        """The rate cards in force, everybody's and the account's own; upcoming: and those that will be."""
        return self._call("list_actions", p_account_id=account_id, p_upcoming=upcoming)

    def set_action_cost(self, card: dict[str, Any], actor: str) -> dict[str, Any]:
        """A new card for an action. card: action; credits, rates {dimension: {credits, per}}; model, account_id, unit,
        description, effective_from, retire, confirm. Answers the card, with retired.

        Refused: invalid_value, unknown_account, price_change_too_large (extra: dimension, price, reference).
        """
        return self._call("set_action_cost", p_card=Json(card), p_actor=actor)

    # Spending

    def spend_credits(self, account_id: str, event: dict[str, Any]) -> Spend:
        """Spends once for event["id"]. The event has action and quantity, or amount (micro-credits); may have agent,
        department_id, member_id, run_id, dimensions, metadata, hold_id (spends from that hold).

        Refused: unknown_account, insufficient_credits and limit_reached (extra: binding, needed, available, topup; and
        what bound: hold_id, or scope_id, window, resets_at), account_paused, idempotency_conflict, unknown_action,
        unknown_model, unknown_dimension, invalid_value; with hold_id not_found, state_conflict.
        """
        return self._call("spend_credits", p_account_id=account_id, p_event=Json(event))

    def record_usage(
        self, events: list[Any], account_id: str | None = None, *, park: bool = False
    ) -> UsageResult:
        """Books usage that already happened, each event once. An event is as in spend_credits plus account_id, unless
        the argument names the account of all. What has no price yet is kept until it has one; park: all that cannot be
        booked is kept.
        """
        return self._call("record_usage", p_events=Json(events), p_account_id=account_id, p_park=park)

    # History

    def list_transactions(
        self,
        account_id: str,
        limit: int,
        cursor: str | None,
        kind: str | None = None,
        *,
        first: date | None = None,
        last: date | None = None,
        newer: bool = False,
    ) -> Page:
        """The account's ledger, newest first: of a kind, booked in the days first to last (UTC, both included). Each entry
        with what it came from: draws, payment, invoice, usage. newer: what is newer than the cursor, the nearest; the page
        has previous_cursor for that.
        """
        return self._call(
            "list_transactions",
            p_account_id=account_id,
            p_limit=limit,
            p_cursor=cursor,
            p_kind=kind,
            p_from=first.isoformat() if first else None,
            p_to=last.isoformat() if last else None,
            p_newer=newer,
        )

    def list_usage(self, account_id: str, limit: int, cursor: str | None) -> Page:
        """The account's usage events, newest first."""
        return self._call("list_usage", p_account_id=account_id, p_limit=limit, p_cursor=cursor)

    def list_lots(self, account_id: str, limit: int, cursor: str | None) -> Page:
        """The account's lots, newest first."""
        return self._call("list_lots", p_account_id=account_id, p_limit=limit, p_cursor=cursor)

    def extend_lot(
        self, account_id: str, lot_id: int, expires_at: str | None, reason: str, actor: str
    ) -> dict[str, Any]:
        """Lets a lot expire later, at an ISO 8601 time or never (None), and answers the lot.

        Refused: unknown_account, not_found, invalid_value (an earlier time), state_conflict (it has expired).
        """
        return self._call(
            "extend_lot",
            p_account_id=account_id,
            p_lot_id=lot_id,
            p_expires_at=expires_at,
            p_reason=reason,
            p_actor=actor,
        )

    def get_statement(self, account_id: str, month: date) -> dict[str, Any]:
        """The statement of the month that begins on a day (UTC): opening, net, closing, kinds, lots.
        Refused: unknown_account, invalid_value.
        """
        return self._call("get_statement", p_account_id=account_id, p_month=month.isoformat())

    def list_statement_entries(
        self, account_id: str, month: date, after: int, limit: int
    ) -> list[dict[str, Any]]:
        """The month's entries in the order of booking, from the one after the id `after` on."""
        return self._call(
            "list_statement_entries",
            p_account_id=account_id,
            p_month=month.isoformat(),
            p_after=after,
            p_limit=limit,
        )

    def get_revenue(self, month: date, account_id: str | None) -> dict[str, Any]:
        """Deferred revenue and breakage of the month that begins on a day (UTC), in minor units, by currency and kind:
        opening + sold + restored - refunded - disputed - broken - used = closing. None: all accounts.

        Refused: unknown_account, invalid_value.
        """
        return self._call("get_revenue", p_month=month.isoformat(), p_account_id=account_id)

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

    # Adjustments that need a second operator

    def request_adjustment(
        self, adjustment_id: str, account_id: str, credits: int, reason: str, by: str, actor: str
    ) -> Adjustment:
        """Keeps it until another operator decides. `by`: who was authenticated; `actor`: the same for people.
        Refused unknown_account, invalid_value, idempotency_conflict.
        """
        return self._call(
            "request_adjustment",
            p_id=adjustment_id,
            p_account_id=account_id,
            p_credits=credits,
            p_reason=reason,
            p_by=by,
            p_actor=actor,
        )

    def decide_adjustment(
        self,
        adjustment_id: str,
        account_id: str | None,
        note: str | None,
        by: str,
        actor: str,
        *,
        approve: bool,
    ) -> Adjustment:
        """Approves it, which books it, or rejects it; with topup_due. An account_id: only one of that account.
        Refused not_found, state_conflict (the same operator, or decided otherwise).
        """
        return self._call(
            "decide_adjustment",
            p_id=adjustment_id,
            p_account_id=account_id,
            p_approve=approve,
            p_note=note,
            p_by=by,
            p_actor=actor,
        )

    def list_adjustments(self, account_id: str | None, state: str | None, limit: int) -> list[Adjustment]:
        """Those that needed a second operator, newest first."""
        return self._call("list_adjustments", p_account_id=account_id, p_state=state, p_limit=limit)
