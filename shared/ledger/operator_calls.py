"""What operators look for and decide. One wrapper per SQL function; see shared.ledger."""

from __future__ import annotations

from shared.ledger.calls import Calls
from shared.models import Payment
from shared.operator_models import InspectedPayment, OpenHold, PausedTopup, RecentPayment, Search


class OperatorCalls(Calls):
    """Search, payments and holds of all accounts, parked payments, paused automatic charges."""

    def search_records(self, text: str, account_id: str | None, limit: int) -> Search:
        """What a text names: an id of ours or of Stripe's, an id within an account (account_id, or the first word), or
        accounts that have it in their id, name or billing address. Up to `limit` hits.
        """
        return self._call("search_records", p_text=text, p_account_id=account_id, p_limit=limit)

    def list_recent_payments(self, state: str | None, limit: int) -> list[RecentPayment]:
        """The newest payments of all accounts, of one state if given: a status, or closed."""
        return self._call("list_recent_payments", p_state=state, p_limit=limit)

    def inspect_payment(self, payment_id: str) -> InspectedPayment | None:
        """A payment with its account, events, refunds and disputes, differences, entry and adjustment; or None."""
        return self._call("inspect_payment", p_payment_id=payment_id)

    def recheck_payment(self, payment_id: str, actor: str) -> Payment:
        """Makes the check at Stripe due now. Refused not_found, state_conflict (it is over, or closed)."""
        return self._call("recheck_payment", p_payment_id=payment_id, p_actor=actor)

    def close_payment(self, payment_id: str, note: str, actor: str) -> Payment:
        """Decides that a parked payment is never granted, with a note of what became of the money.

        Refused invalid_value (no note), not_found, state_conflict (not parked).
        """
        return self._call("close_payment", p_payment_id=payment_id, p_note=note, p_actor=actor)

    def list_open_holds(self, limit: int) -> list[OpenHold]:
        """Open holds of all accounts, those that end first at the top."""
        return self._call("list_open_holds", p_limit=limit)

    def list_paused_topups(self, limit: int) -> list[PausedTopup]:
        """Accounts whose auto top-up is on and paused, those that began to fail last first."""
        return self._call("list_paused_topups", p_limit=limit)
