"""What a top-up does next: one table, without I/O. `decide` reads it; workers/topups.py carries out what it says.

A worker asks Stripe or the ledger (Call), hears something (Heard), and looks up the next Step. RULES is read from the top;
the first rule that fits counts. The one principle behind it: a charge that was sent for confirmation is closed here only on
Stripe's word. Until then it is live, counts in every cap, and keeps the account from a second charge.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.models import TopupState

# When Stripe was busy, gave no answer, or has nothing new about a charge that waits for its card holder.
BUSY_SECONDS: Final = 5
AWAY_SECONDS: Final = 30
HOLDER_SECONDS: Final = 120


class Call(StrEnum):
    """What was done last."""

    START = "start"  # nothing yet: a message, the sweep or a webhook led here
    CREATE = "create"  # Stripe: PaymentIntent, unconfirmed
    LOOK = "look"  # ledger: the last look before money moves (begin_topup_charge)
    CONFIRM = "confirm"  # Stripe
    RETRIEVE = "retrieve"  # Stripe
    CANCEL = "cancel"  # Stripe
    RECHECK = "recheck"  # Stripe: retrieved because it refused to confirm or to cancel
    EXPLAIN = "explain"  # Stripe: asked whose card it is, because it refused to create or to confirm


class Heard(StrEnum):
    """What came back: the PaymentIntent's status, an error, or what the ledger said."""

    NOTHING = "nothing"
    GO = "go"
    NO = "no"
    UNCONFIRMED = "requires_confirmation"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"
    PROCESSING = "processing"
    HOLDER = "requires_action"  # or declined because the bank wants the card holder
    DECLINED = "declined"
    NO_METHOD = "requires_payment_method"  # without an error: the card was taken from it
    OTHER = "other status"
    BUSY = "busy"  # 429, lock time-out, key in use, API key not accepted: not executed
    LOST = "lost"  # no answer, or a 5xx: may have been executed
    REPLAYED = "replayed"  # a 5xx that Stripe saved under the key
    UNEXPECTED = "unexpected_state"  # 400: the PaymentIntent is past that
    REFUSED = "refused"  # any other 4xx, a key with other parameters among them
    MISSING = "missing"  # Stripe has no such PaymentIntent


class Do(StrEnum):
    """The kinds of steps."""

    CREATE = "create"
    KEEP = "keep"  # ledger: store the PaymentIntent's id; then the row is looked at again
    LOOK = "look"  # close what a person may still pay, then begin_topup_charge
    CONFIRM = "confirm"
    RETRIEVE = "retrieve"
    CANCEL = "cancel"
    RECHECK = "recheck"
    SETTLE = "settle"  # ledger: the one grant path, which grants or parks
    RECORD = "record"  # ledger: finish_topup; after canceling the row is looked at again
    EXPLAIN = "explain"  # ask whose card it is, then record the refusal
    WAIT = "wait"  # ledger: give the lease back for some seconds
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Row:
    """What the table looks at of a top-up. Ages by the database's clock."""

    state: TopupState
    has_intent: bool
    sent_before: bool = False  # confirming_at was set when this run began
    superseded: bool = False  # a person's decision asks for another charge instead (_resume_topups)
    patience_over: bool = False  # a saved 5xx of the create call may end it
    key_over: bool = False  # Stripe may have forgotten the idempotency keys
    holder_over: bool = False  # the card holder had a day


@dataclass(frozen=True, slots=True)
class Step:
    """What to do. RECORD: the state, why, and how a canceling charge ends; WAIT: seconds."""

    do: Do
    state: TopupState | None = None
    reason: str | None = None
    ends_as: TopupState | None = None
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table: empty states, heard or condition fit everything."""

    call: Call
    heard: tuple[Heard, ...]
    step: Step
    states: tuple[TopupState, ...] = ()
    condition: str | None = None


SENT: Final[tuple[TopupState, ...]] = ("processing", "unknown")
LIVE: Final[tuple[TopupState, ...]] = ("open", *SENT, "action_required", "canceling")
DEAD: Final[tuple[TopupState, ...]] = ("succeeded", "declined", "canceled")

# What finish_topup accepts; billing._topup_may_become is the same. `canceled` of a charge that was sent needs Stripe's word.
# From every state settle_payment leads to succeeded, and begin_topup_charge from open to processing.
TRANSITIONS: Final[dict[TopupState, tuple[TopupState, ...]]] = {
    "open": ("canceled",),
    "processing": ("processing", "unknown", "action_required", "canceling", "declined", "canceled"),
    "unknown": ("processing", "unknown", "action_required", "canceling", "declined", "canceled"),
    "action_required": ("action_required", "canceling", "canceled"),
    "canceling": ("processing", "canceling", "declined", "canceled"),
}

_H, _C, _D = Heard, Call, Do
_REFUSALS = (_H.REFUSED, _H.UNEXPECTED, _H.MISSING)
_STOP, _SETTLE, _CANCEL, _EXPLAIN = (Step(do) for do in (_D.STOP, _D.SETTLE, _D.CANCEL, _D.EXPLAIN))
_LOOK, _RETRIEVE, _RECHECK = (Step(do) for do in (_D.LOOK, _D.RETRIEVE, _D.RECHECK))
_BUSY, _AWAY = (
    Step(_D.WAIT, reason="stripe_busy", seconds=BUSY_SECONDS),
    Step(_D.WAIT, reason="stripe_unavailable", seconds=AWAY_SECONDS),
)
_ASK_HOLDER = Step(_D.WAIT, reason="authentication_required", seconds=HOLDER_SECONDS)
_HOLDER = Step(_D.RECORD, "action_required", "authentication_required")
_PROCESSING = Step(_D.RECORD, "processing")
_UNKNOWN = Step(_D.RECORD, "unknown")
_DECLINED = Step(_D.RECORD, "canceling", ends_as="declined")
_CLOSED = Step(_D.RECORD, "canceled", "canceled_at_stripe")
_GONE = Step(_D.RECORD, "canceled", "intent_missing")


def _give_up(reason: str) -> Step:
    return Step(_D.RECORD, "canceling", reason, "canceled")


# fmt: off
RULES: Final[tuple[Rule, ...]] = (
    # Where a run begins, and where it goes on after a step of the ledger.
    Rule(_C.START, (), Step(_D.CREATE), ("open",), "no_intent"),
    Rule(_C.START, (), _LOOK, ("open",)),
    Rule(_C.START, (), _RETRIEVE, (*SENT, "action_required")),
    Rule(_C.START, (), _CANCEL, ("canceling",)),
    Rule(_C.START, (), _STOP, DEAD),
    # An unconfirmed PaymentIntent moves no money: what was never sent may be closed here.
    Rule(_C.CREATE, (_H.UNCONFIRMED,), Step(_D.KEEP)),
    Rule(_C.CREATE, (_H.BUSY,), _BUSY),
    Rule(_C.CREATE, (_H.REPLAYED,), Step(_D.RECORD, "canceled", "stripe_unavailable"), (), "patience_over"),
    Rule(_C.CREATE, (_H.LOST, _H.REPLAYED), _AWAY),
    Rule(_C.CREATE, (), _EXPLAIN),
    # The last look: it canceled what was never sent; what was sent it gives up, and Stripe closes it.
    Rule(_C.LOOK, (_H.GO,), Step(_D.CONFIRM)),
    Rule(_C.LOOK, (_H.NO,), _CANCEL, ("canceling", "canceled")),
    Rule(_C.LOOK, (_H.NO,), _STOP),
    Rule(_C.LOOK, (_H.BUSY,), _BUSY),  # what a person may still pay could not be closed
    Rule(_C.LOOK, (_H.LOST,), _AWAY),
    # The confirmation.
    Rule(_C.CONFIRM, (_H.SUCCEEDED,), _SETTLE),
    Rule(_C.CONFIRM, (_H.PROCESSING,), _PROCESSING),
    Rule(_C.CONFIRM, (_H.HOLDER,), _HOLDER),
    Rule(_C.CONFIRM, (_H.DECLINED,), _DECLINED),
    Rule(_C.CONFIRM, (_H.BUSY,), _BUSY),  # an earlier one may still be under way
    Rule(_C.CONFIRM, (_H.REPLAYED,), _give_up("stripe_unavailable"), (), "sent_before"),
    Rule(_C.CONFIRM, (_H.UNEXPECTED,), _RECHECK),
    Rule(_C.CONFIRM, (_H.REFUSED, _H.MISSING), _EXPLAIN),
    Rule(_C.CONFIRM, (), Step(_D.RECORD, "unknown", "stripe_unavailable")),  # lost, or nothing that the table knows
    # Money may have moved: the PaymentIntent says.
    Rule(_C.RETRIEVE, (_H.SUCCEEDED,), _SETTLE),
    Rule(_C.RETRIEVE, (_H.CANCELED,), _CLOSED),
    Rule(_C.RETRIEVE, (_H.MISSING,), _GONE),
    Rule(_C.RETRIEVE, (_H.BUSY,), _BUSY),
    Rule(_C.RETRIEVE, (_H.LOST, _H.REPLAYED, _H.REFUSED, _H.UNEXPECTED), _AWAY),
    Rule(_C.RETRIEVE, (_H.PROCESSING,), _ASK_HOLDER, ("action_required",)),  # a person has just confirmed it
    Rule(_C.RETRIEVE, (), _give_up("superseded"), ("action_required",), "superseded"),
    Rule(_C.RETRIEVE, (), _give_up("authentication_expired"), ("action_required",), "holder_over"),
    Rule(_C.RETRIEVE, (), _ASK_HOLDER, ("action_required",)),
    Rule(_C.RETRIEVE, (_H.PROCESSING,), _PROCESSING),
    Rule(_C.RETRIEVE, (_H.HOLDER,), _HOLDER),
    Rule(_C.RETRIEVE, (_H.DECLINED,), _DECLINED),
    Rule(_C.RETRIEVE, (_H.UNCONFIRMED,), _give_up("too_old"), (), "key_over"),
    Rule(_C.RETRIEVE, (_H.UNCONFIRMED,), _LOOK),  # the confirmation never came there, or is still on its way
    Rule(_C.RETRIEVE, (_H.NO_METHOD,), _give_up("payment_method_unusable")),
    Rule(_C.RETRIEVE, (), _UNKNOWN),
    # Canceling: live until Stripe says otherwise. A row that is closed already is only cleared away at Stripe.
    Rule(_C.CANCEL, (_H.UNEXPECTED, _H.REFUSED), _RECHECK),
    Rule(_C.CANCEL, (), _STOP, DEAD),
    Rule(_C.CANCEL, (_H.CANCELED,), _CLOSED),
    Rule(_C.CANCEL, (_H.MISSING,), _GONE),
    Rule(_C.CANCEL, (_H.BUSY,), _BUSY),
    Rule(_C.CANCEL, (), _AWAY),
    # Why Stripe refused to confirm or to cancel.
    Rule(_C.RECHECK, (_H.SUCCEEDED,), _SETTLE),
    Rule(_C.RECHECK, (), _STOP, DEAD),
    Rule(_C.RECHECK, (_H.CANCELED,), _CLOSED),
    Rule(_C.RECHECK, (_H.MISSING,), _GONE),
    Rule(_C.RECHECK, (_H.PROCESSING,), _PROCESSING),
    Rule(_C.RECHECK, (_H.BUSY,), _BUSY),
    Rule(_C.RECHECK, (_H.LOST, _H.REPLAYED, _H.REFUSED, _H.UNEXPECTED), _AWAY),
    Rule(_C.RECHECK, (), _AWAY, ("canceling",)),  # it can be canceled after all: the next run does
    Rule(_C.RECHECK, (_H.HOLDER,), _HOLDER),
    Rule(_C.RECHECK, (_H.DECLINED,), _DECLINED),
    Rule(_C.RECHECK, (), _give_up("stripe_refused")),
    Rule(_C.EXPLAIN, (_H.BUSY,), _BUSY),
    Rule(_C.EXPLAIN, (_H.LOST,), _AWAY),
)
# fmt: on


def decide(row: Row, call: Call, heard: Heard) -> Step:
    """The next step of a top-up after a call and what was heard of it. Raises LookupError for what the table forgot."""
    return find_rule(row, call, heard).step


@functools.cache
def find_rule(row: Row, call: Call, heard: Heard) -> Rule:
    """The rule that decides; raises LookupError where there is none."""
    for rule in RULES:
        if (
            rule.call is call
            and (not rule.heard or heard in rule.heard)
            and (not rule.states or row.state in rule.states)
            and (rule.condition is None or _holds(row, rule.condition))
        ):
            return rule
    raise LookupError(f"no rule for {row.state} after {call}: {heard}")


def _holds(row: Row, condition: str) -> bool:
    return not row.has_intent if condition == "no_intent" else bool(getattr(row, condition))
