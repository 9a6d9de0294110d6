"""Holds, limits, quotes and usage without a price. One wrapper per SQL function; see shared.ledger."""

from __future__ import annotations

from typing import Any

from shared.db import Json
from shared.ledger.calls import Calls, Page
from shared.models import Hold, Limit, Quote


class HoldCalls(Calls):
    """Holds, limits, quotes and usage without a price."""

    # Holds

    def place_hold(self, account_id: str, hold: dict[str, Any]) -> Hold:
        """Reserves once for hold["id"]: amount (micro-credits), or action with quantity and dimensions. May have
        parent_id (reserve from that hold), expires_in (seconds, 900), agent, department_id, member_id, run_id, metadata.

        Refused: unknown_account, insufficient_credits, limit_reached (extra as in spend_credits), account_paused,
        idempotency_conflict, unknown_action, unknown_model, unknown_dimension, invalid_value, not_found (the parent),
        state_conflict (the parent is closed).
        """
        return self._call("place_hold", p_account_id=account_id, p_hold=Json(hold))

    def settle_hold(self, account_id: str, hold_id: str, settlement: dict[str, Any]) -> Hold:
        """Charges what the hold cost, more than it held or after its end as well. settlement: amount, or usage (events
        without ids), or neither: what is left. final false leaves it open: with id, reserve, expires_in.

        Refused: unknown_account, not_found, idempotency_conflict, state_conflict (released or settled), unknown_action,
        unknown_model, unknown_dimension, invalid_value.
        """
        return self._call(
            "settle_hold", p_account_id=account_id, p_hold_id=hold_id, p_settlement=Json(settlement)
        )

    def extend_hold(self, account_id: str, hold_id: str, expires_in: int) -> Hold:
        """Lets the hold and its ancestors live that many seconds from now, within a day of their placing.

        Refused: unknown_account, not_found, state_conflict (closed), invalid_value.
        """
        return self._call("extend_hold", p_account_id=account_id, p_hold_id=hold_id, p_expires_in=expires_in)

    def release_hold(self, account_id: str, hold_id: str) -> Hold:
        """Gives back what the hold and its children hold. Refused: unknown_account, not_found, state_conflict (settled)."""
        return self._call("release_hold", p_account_id=account_id, p_hold_id=hold_id)

    def get_hold(self, account_id: str, hold_id: str) -> Hold:
        """The hold as it is. Refused: unknown_account, not_found."""
        return self._call("get_hold", p_account_id=account_id, p_hold_id=hold_id)

    def list_holds(self, account_id: str, limit: int, cursor: str | None, state: str | None = None) -> Page:
        """The account's holds, newest first, of one state if given."""
        return self._call(
            "list_holds", p_account_id=account_id, p_limit=limit, p_cursor=cursor, p_state=state
        )

    def expire_holds(self, limit: int) -> int:
        """Expires holds of up to `limit` accounts whose time is up; answers how many accounts it touched, 0 at the end."""
        return self._call("expire_holds", p_limit=limit)

    # Limits and quotes

    def set_limit(self, account_id: str, limit: dict[str, Any], actor: str) -> Limit:
        """Sets or removes (credits None) one limit: scope, scope_id, window, credits, hard.

        Refused: unknown_account, invalid_value.
        """
        return self._call("set_limit", p_account_id=account_id, p_limit=Json(limit), p_actor=actor)

    def list_limits(self, account_id: str) -> list[Limit]:
        """The account's limits with what is used and held of them; Refused unknown_account."""
        return self._call("list_limits", p_account_id=account_id)

    def announce_limit(self, account_id: str, scope: str, scope_id: str, window: str) -> None:
        """A limit refused something: tells the account, once a window."""
        self._call(
            "announce_limit", p_account_id=account_id, p_scope=scope, p_scope_id=scope_id, p_window=window
        )

    def demand_topup(self, account_id: str, event_id: str) -> bool:
        """A spend was refused for want of credits: arms auto top-up at or below its threshold. Whether a check is due."""
        return self._call("demand_topup", p_account_id=account_id, p_event_id=event_id)

    def quote_credits(self, account_id: str, event: dict[str, Any]) -> Quote:
        """What an event (as in spend_credits) would cost now, and whether it would be let through. Promises nothing."""
        return self._call("quote_credits", p_account_id=account_id, p_event=Json(event))

    # Usage without a price

    def reprice_usage(self, limit: int) -> dict[str, Any]:
        """Books usage that waited for a price and has one now: booked, waiting, topup_due (accounts to check)."""
        return self._call("reprice_usage", p_limit=limit)

    def list_parked_usage(self, limit: int, cursor: str | None) -> Page:
        """Usage that waits for a price or an operator, newest first."""
        return self._call("list_parked_usage", p_limit=limit, p_cursor=cursor)

    def discard_parked_usage(self, parked_id: int, reason: str, actor: str) -> dict[str, Any]:
        """An operator decides that a parked event is never booked. Refused: not_found, invalid_value."""
        return self._call("discard_parked_usage", p_id=parked_id, p_reason=reason, p_actor=actor)
