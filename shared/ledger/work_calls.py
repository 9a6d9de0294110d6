"""The inbox, periodic work and repeated requests. One wrapper per SQL function; see shared.ledger."""

from __future__ import annotations

from typing import Any

from shared.db import Json
from shared.ledger.calls import Calls
from shared.models import DueWork, StripeEvent, Violation


class WorkCalls(Calls):
    """The inbox, periodic work and repeated requests."""

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

    def get_stripe_event(self, event_id: str) -> dict[str, Any] | None:
        """An event with its payload in hex, None there once it is pruned."""
        return self._call("get_stripe_event", p_id=event_id)

    def replay_stripe_event(self, event_id: str, actor: str) -> dict[str, Any]:
        """Makes a finished or parked event due again; Refused not_found."""
        return self._call("replay_stripe_event", p_id=event_id, p_actor=actor)

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

    def announce_expiring_lots(self, days: int, limit: int) -> int:
        """Tells accounts of credits that expire within `days`, once an expiry; answers how many notices it wrote."""
        return self._call("announce_expiring_lots", p_days=days, p_limit=limit)

    def dun_accounts(self, hours: int | None, credits: int, limit: int) -> int:
        """Grace for accounts whose automatic charges have stopped: `hours` long, `credits` micro-credits below zero; a pause
        for those whose grace is over. hours None: neither, and an end to both. Answers how many accounts it changed.
        """
        return self._call("dun_accounts", p_hours=hours, p_credits=credits, p_limit=limit)

    def ensure_usage_partitions(self, months_ahead: int) -> int:
        """Creates the months of credit_usage that are missing; answers how many."""
        return self._call("ensure_usage_partitions", p_months_ahead=months_ahead)

    def prune_requests(self, limit: int) -> int:
        """Forgets answers by Idempotency-Key older than seven days; answers how many."""
        return self._call("prune_requests", p_limit=limit)

    def prune_stripe_events(self, days: int, limit: int) -> int:
        """Drops payloads of events that were finished more than `days` ago; answers how many."""
        return self._call("prune_stripe_events", p_days=days, p_limit=limit)

    def check_invariants(self) -> list[Violation]:
        """Every invariant that does not hold; an empty list is what a sound book answers."""
        return self._call("check_invariants")

    def note_operation(self, actor: str, action: str, subject: str) -> None:
        """Writes to the audit log what no other function records."""
        self._call("note_operation", p_actor=actor, p_action=action, p_subject=subject)

    def note_stripe_refusal(
        self, cause: str, code: str, account_id: str | None, details: dict[str, Any]
    ) -> None:
        """Keeps a refusal of Stripe that only an operator can act on; the notice goes out once a day for one cause.
        details: stripe_code, param, message, request_id.
        """
        self._call(
            "note_stripe_refusal",
            p_cause=cause,
            p_code=code,
            p_account_id=account_id,
            p_details=Json(details),
        )

    def operations_summary(self) -> dict[str, Any]:
        """Counts and ages for readiness and metrics: events, top-ups, notices, parked rows."""
        return self._call("operations_summary")

    # Idempotency-Key

    def begin_request(
        self,
        caller: str,
        key: str,
        fingerprint: str,
        subject: str | None = None,
        *,
        renews: bool = False,
    ) -> dict[str, Any]:
        """state: new (with round, from 2 on), done (with status and body), in_flight, conflict (another body), or expired:
        the answer is over, what it made lives.

        subject: the id of what the request makes; renews: an answer that is over is made again.
        """
        return self._call(
            "begin_request",
            p_caller=caller,
            p_key=key,
            p_fingerprint=fingerprint,
            p_subject=subject,
            p_renews=renews,
        )

    def finish_request(
        self, caller: str, key: str, status: int, body: Any, lasts_seconds: int | None = None
    ) -> None:
        """Stores the answer for repeats, for as long as it is of use; None: until it is pruned."""
        self._call(
            "finish_request",
            p_caller=caller,
            p_key=key,
            p_status=status,
            p_body=Json(body),
            p_lasts_seconds=lasts_seconds,
        )

    def abandon_request(self, caller: str, key: str, *, keep: bool = False) -> None:
        """A repeat may try again. keep: something may have been made, so the key stays bound to its body."""
        self._call("abandon_request", p_caller=caller, p_key=key, p_keep=keep)

    # Readiness

    def is_read_only(self) -> bool:
        """Whether the server takes no changes at the moment."""
        return self._call("is_read_only")

    def missing_functions(self, names: list[str]) -> list[str]:
        """Of names of SQL functions, those that the database does not have."""
        return self._call("missing_functions", p_names=Json(names))
