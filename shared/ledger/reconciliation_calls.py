"""Reconciliation with Stripe. One wrapper per SQL function; see shared.ledger."""

from __future__ import annotations

from typing import Any

from shared.db import Json
from shared.ledger.calls import Calls
from shared.models import Settlement
from shared.reconciliation_models import Finding, Reconciliation


class ReconciliationCalls(Calls):
    """Runs, what they compare, and the differences that stay."""

    # Runs

    def open_reconciliation(self, run_id: str, since: str | None, until: str | None) -> Reconciliation:
        """Opens a run over a window of ISO 8601 times; without one the periodic run, or the one that is unfinished.
        Refused invalid_value.
        """
        return self._call("open_reconciliation", p_id=run_id, p_since=since, p_until=until)

    def claim_reconciliation(self, run_id: str) -> Reconciliation | None:
        """Leases a run to this worker for two minutes; None when it is finished or leased."""
        return self._call("claim_reconciliation", p_id=run_id)

    def save_reconciliation(
        self, run_id: str, step: str, cursor: str | None, counts: dict[str, int], *, release: bool
    ) -> Reconciliation | None:
        """How far the run came; adds counts and renews the lease, or gives it back. None: it was finished meanwhile."""
        return self._call(
            "save_reconciliation",
            p_id=run_id,
            p_step=step,
            p_cursor=cursor,
            p_counts=Json(counts),
            p_release=release,
        )

    def defer_reconciliation(self, run_id: str) -> int | None:
        """Gives a run back for half a minute; the claim does not count. None: it was finished meanwhile."""
        return self._call("defer_reconciliation", p_id=run_id)

    def note_not_compared(self, run_id: str, what: str, reason: str) -> list[dict[str, str]]:
        """Notes once what a run could not look at; answers the whole list."""
        return self._call("note_not_compared", p_run_id=run_id, p_what=what, p_reason=reason)

    def finish_reconciliation(self, run_id: str, state: str, reason: str | None) -> Reconciliation:
        """done, or failed with a reason."""
        return self._call("finish_reconciliation", p_id=run_id, p_state=state, p_reason=reason)

    def get_reconciliation(self, run_id: str) -> Reconciliation | None:
        """A run with the number of open differences that it saw, or None."""
        return self._call("get_reconciliation", p_id=run_id)

    def list_reconciliations(self, limit: int) -> list[Reconciliation]:
        """The newest runs."""
        return self._call("list_reconciliations", p_limit=limit)

    # Differences

    def record_difference(
        self,
        run_id: str,
        kind: str,
        subject: str,
        account_id: str | None,
        reason: str,
        details: dict[str, Any],
    ) -> bool:
        """Keeps what no repair could mend, once while it is open; True when it is new."""
        return self._call(
            "record_difference",
            p_run_id=run_id,
            p_kind=kind,
            p_subject=subject,
            p_account_id=account_id,
            p_reason=reason,
            p_details=Json(details),
        )

    def list_differences(self, limit: int, *, all_of_them: bool) -> list[dict[str, Any]]:
        """The newest differences; only open ones unless all are asked for."""
        return self._call("list_differences", p_all=all_of_them, p_limit=limit)

    def dismiss_difference(self, difference_id: int, note: str, actor: str) -> dict[str, Any]:
        """A person settled it elsewhere. Refused: invalid_value (no note), not_found."""
        return self._call("dismiss_difference", p_id=difference_id, p_note=note, p_actor=actor)

    # Comparing pages of Stripe's objects; each SQL file says which facts it takes

    def compare_customers(self, facts: list[dict[str, Any]]) -> list[Finding]:
        """Customers whose account is missing, or has no customer."""
        return self._call("compare_customers", p_facts=Json(facts))

    def compare_payments(self, facts: list[dict[str, Any]]) -> list[Finding]:
        """PaymentIntents that the payments do not know so, each with a reason."""
        return self._call("compare_payments", p_facts=Json(facts))

    def compare_reversals(self, facts: list[dict[str, Any]], *, foreign: bool = True) -> list[Finding]:
        """Refunds or disputes that the mirror does not know so; foreign: also those known to be of somebody else."""
        return self._call("compare_reversals", p_facts=Json(facts), p_foreign=foreign)

    def note_foreign_intents(self, ids: list[str]) -> int:
        """Remembers PaymentIntents that paid nothing of this installation; answers how many are new."""
        return self._call("note_foreign_intents", p_ids=Json(ids))

    def settle_unreadable(self, subjects: list[str]) -> int:
        """Resolves the differences of objects that could not be read and now can; answers how many."""
        return self._call("settle_unreadable", p_subjects=Json(subjects))

    def list_unfinished(self, kind: str, after: str | None, limit: int) -> list[dict[str, Any]]:
        """What may still change at Stripe by the books: id, account_id, intent, invoice. kind: open_payments,
        open_reversals, open_invoices, open_subscriptions or cards.
        """
        return self._call("list_unfinished", p_kind=kind, p_after=after, p_limit=limit)

    def compare_mirrors(self, facts: list[dict[str, Any]]) -> list[Finding]:
        """Invoices or subscriptions of our customers that the mirror does not know so."""
        return self._call("compare_mirrors", p_facts=Json(facts))

    def unknown_ids(self, ids: list[str]) -> list[str]:
        """Payment methods or events that are not here."""
        return self._call("unknown_ids", p_ids=Json(ids))

    def unreconciled_payments(
        self, since: str, until: str, after: str | None, limit: int
    ) -> list[dict[str, Any]]:
        """Payments that are booked as paid, and that no run has seen paid at Stripe: id, account_id,
        stripe_payment_intent_id.
        """
        return self._call("unreconciled_payments", p_since=since, p_until=until, p_after=after, p_limit=limit)

    def restore_payment(self, row: dict[str, Any], facts: dict[str, Any]) -> Settlement:
        """Writes the row of a payment that only Stripe knows any more, and settles it. row: Sealer.row_of with customer,
        payment_method, created. Refused unknown_account.
        """
        return self._call("restore_payment", p_row=Json(row), p_facts=Json(facts))
