"""What operators look for and decide. One wrapper per SQL function; see shared.ledger."""

from __future__ import annotations

from shared.ledger.calls import Calls
from shared.models import Payment
from shared.operator_models import (
    Freeze,
    InspectedPayment,
    OpenHold,
    PausedTopup,
    RecentPayment,
    Search,
    Unfrozen,
)


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

    def list_freezes(self, account_id: str) -> list[Freeze]:
        """The account's open disputes and inquiries, and a grace that is over: what freezes it, or did until an operator
        lifted it. Refused unknown_account.
        """
        return self._call("list_freezes", p_account_id=account_id)

    def unfreeze_account(
        self, account_id: str, covers: list[str] | None, reason: str, actor: str
    ) -> Unfrozen:
        """Lets an account spend in spite of what freezes it now: the ids in covers (of list_freezes), None for all.
        Automatic charges stay paused. Refused unknown_account, invalid_value (no reason), not_frozen.
        """
        return self._call(
            "unfreeze_account", p_account_id=account_id, p_covers=covers, p_reason=reason, p_actor=actor
        )

    def set_freeze_policy(self, freeze_on: str, limit: int) -> int:
        """Applies FREEZE_ON to open disputes that were read under another value; how many accounts that changed."""
        return self._call("set_freeze_policy", p_freeze_on=freeze_on, p_limit=limit)
