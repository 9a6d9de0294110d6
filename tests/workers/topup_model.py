"""A small model of everything that a top-up meets: Stripe, the ledger's rules, workers, people. For exhaustive search.

The workers run the real table, workers/topup_steps.decide. The ledger's rules are written here once more; tests that run
the real SQL functions show that the two agree (test_topup_steps.py). Leases are left out on purpose: any worker may take
up any live row at any time. So are ages: what an age decides goes both ways.

Stripe in the model, by its documentation: a PaymentIntent takes money at most once; a confirmation's first answer is saved
under its key and replayed; requests may be executed and their answer lost, may be executed after their sender died, or
never.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from workers.topup_steps import DEAD, SENT, TRANSITIONS, Call, Do, Heard, Row, Step, decide

# PaymentIntents: none, unconfirmed, succeeded, canceled, processing, wants its holder, declined, without a card, gone.
NONE, UNCONFIRMED, SUCCEEDED, CANCELED, PROCESSING, HOLDER, DECLINED, NO_METHOD, GONE = "-USCPADNG"
CANCELABLE: Final = frozenset((UNCONFIRMED, HOLDER, DECLINED, NO_METHOD))
MAY_TAKE: Final = CANCELABLE | {PROCESSING}
STATUS: Final = {
    UNCONFIRMED: Heard.UNCONFIRMED, SUCCEEDED: Heard.SUCCEEDED, CANCELED: Heard.CANCELED, PROCESSING: Heard.PROCESSING,
    HOLDER: Heard.HOLDER, DECLINED: Heard.DECLINED, NO_METHOD: Heard.NO_METHOD, GONE: Heard.MISSING, NONE: Heard.MISSING,
}  # fmt: skip
# What a confirmation's key has saved, and replays.
REPLAYS: Final = {
    SUCCEEDED: Heard.SUCCEEDED, PROCESSING: Heard.PROCESSING, HOLDER: Heard.HOLDER, DECLINED: Heard.DECLINED,
    "5": Heard.REPLAYED, "X": Heard.UNEXPECTED, "R": Heard.REFUSED,
}  # fmt: skip
PAUSES: Final = frozenset(
    (
        "canceled_at_stripe",
        "stripe_refused",
        "intent_missing",
        "payment_method_unusable",
        "authentication_expired",
    )
)


class Charge(NamedTuple):
    """A top-up's row, and its PaymentIntent at Stripe."""

    state: str = "open"
    has_intent: bool = False
    sent: bool = False
    superseded: bool = False
    ends_as: str = ""
    pauses: bool = False  # canceling: its reason pauses auto top-up
    card: int = 0
    need: int = 0
    dead: bool = False
    granted: bool = False
    parked: bool = False
    linked: bool = False  # a person has a link by which they may confirm
    intent: str = NONE
    created: str = ""  # what the create call's key has saved: "", "U", "5"
    key: str = ""  # what the confirmation's key has saved
    late: str = ""  # a request that is on its way although nobody waits for it: "", confirm, cancel


class Worker(NamedTuple):
    """What a worker is about to do, and what it last read of the row, as far as that will matter. Without a step: idle."""

    step: Step | None = None
    state: str = ""
    superseded: bool = False


class Scene(NamedTuple):
    """The account: credits are needed, charges are allowed (on, not paused, no dispute), the default card."""

    needed: bool = True
    allowed: bool = True
    card: int = 0


IDLE: Final = Worker()
Move = tuple[bool, Scene, Charge, Worker]
"""Whether it is a step of workers, Stripe or the bank (so that it may count as a way out), and what is so afterwards."""


@dataclass(frozen=True)
class Model:
    """The rules. close_locally is the fault that was: a charge that was sent is closed before Stripe has canceled it."""

    cap: int = 2
    charges_max: int = 2
    workers: int = 2
    unchecked: frozenset[str] = frozenset()  # rules that a planted fault may break on the way to a worse one
    close_locally: bool = False
    decide: Callable[[Row, Call, Heard], Step] = decide

    def moves(self, scene: Scene, charge: Charge, worker: Worker) -> Iterator[Move]:
        """What a worker may do next about a charge."""
        if worker.step is None:
            if not charge.dead:
                for after in self._read(charge, Call.START, Heard.NOTHING):
                    yield True, scene, charge, after
            return
        yield False, scene, charge, IDLE  # killed
        for there, left, after in self._step(scene, charge, worker, worker.step):
            yield True, there, forgotten(left), after
        if worker.step.do in (Do.CONFIRM, Do.CANCEL) and not charge.late:
            yield (
                False,
                scene,
                charge._replace(late=worker.step.do.value),
                IDLE,
            )  # killed, and the request goes on

    def _step(
        self, scene: Scene, charge: Charge, worker: Worker, step: Step
    ) -> Iterator[tuple[Scene, Charge, Worker]]:
        match step.do:
            case Do.KEEP:
                kept = charge._replace(has_intent=True, created="")
                for after in self._read(kept, Call.START, Heard.NOTHING):
                    yield scene, kept, after
            case Do.SETTLE:
                yield *settle(scene, charge), IDLE
            case Do.LOOK:
                yield from self._look(scene, charge)
            case Do.RECORD:
                yield from self._record(scene, charge, step)
            case Do.EXPLAIN:
                for heard in (Heard.BUSY, Heard.LOST):
                    for after in self._hear(worker, Call.EXPLAIN, heard):
                        yield scene, charge, after
                state = "canceling" if worker.state in SENT else "canceled"
                record = Step(Do.RECORD, state, "stripe_refused", "canceled")  # type: ignore[arg-type]
                yield from self._record(scene, charge, record)
            case _:
                for left, after in self._ask(charge, worker, Call(step.do)):
                    yield scene, left, after

    def _ask(self, charge: Charge, worker: Worker, call: Call) -> Iterator[tuple[Charge, Worker]]:
        """A call of Stripe: executed or not, answered or not, or still on its way when nobody waits any more."""
        outcomes = [(charge, Heard.BUSY), (charge, Heard.LOST)]
        for after, heard in _execute(call, charge):
            outcomes.append((after, heard))
            if after != charge:
                outcomes.append((after, Heard.LOST))
        if call in (Call.CONFIRM, Call.CANCEL) and not charge.late:
            outcomes.append((charge._replace(late=call.value), Heard.LOST))
        for after, heard in outcomes:
            for next_worker in self._hear(worker, call, heard):
                yield after, next_worker

    def _hear(self, worker: Worker, call: Call, heard: Heard) -> Iterator[Worker]:
        return self._next(worker.state, True, worker.superseded, call, heard)

    def _read(self, charge: Charge, call: Call, heard: Heard) -> Iterator[Worker]:
        """The row is read, and the table asked."""
        return self._next(charge.state, charge.has_intent, charge.superseded, call, heard)

    def _next(
        self, state: str, has_intent: bool, superseded: bool, call: Call, heard: Heard
    ) -> Iterator[Worker]:
        """The steps that the table says, for each age and each moment at which the run may have begun."""
        rows = [
            Row(state, has_intent, before, superseded, old, old, old)  # type: ignore[arg-type]
            for before in (False, True)
            for old in (False, True)
        ]
        for step in dict.fromkeys(self.decide(row, call, heard) for row in rows):
            if step.do in (Do.STOP, Do.WAIT):
                yield IDLE
            elif step.do in (Do.SETTLE, Do.RECORD, Do.KEEP, Do.LOOK):
                yield Worker(step)  # the row is not looked at, or read again
            else:
                yield Worker(step, state, superseded)

    def _look(self, scene: Scene, charge: Charge) -> Iterator[tuple[Scene, Charge, Worker]]:
        """billing.begin_topup_charge, after what a person may still pay was closed."""
        for heard in (Heard.BUSY, Heard.LOST):
            for after in self._read(charge, Call.LOOK, heard):
                yield scene, charge, after
        heard = Heard.NO
        if not charge.dead and charge.state in ("open", *SENT):
            if scene.allowed and scene.needed and charge.card == scene.card:
                heard, charge = Heard.GO, charge._replace(state="processing", sent=True)
            elif charge.sent and not self.close_locally:
                charge = charge._replace(state="canceling", ends_as="canceled", pauses=False)
            else:
                charge = charge._replace(state="canceled", dead=True)
        for after in self._read(charge, Call.LOOK, heard):
            yield scene, charge, after

    def _record(self, scene: Scene, charge: Charge, step: Step) -> Iterator[tuple[Scene, Charge, Worker]]:
        """billing.finish_topup."""
        state, reason = str(step.state), step.reason
        word, pauses = reason in ("canceled_at_stripe", "intent_missing"), reason in PAUSES
        # RF010 where the table of transitions does not allow it: another worker has moved the row on.
        if (
            charge.dead
            or state not in TRANSITIONS[charge.state]  # type: ignore[index]
            or (state == "canceled" and charge.sent and not word)
        ):
            yield scene, charge, IDLE
            return
        if charge.state == "canceling" and state in ("canceled", "processing") and reason != "intent_missing":
            state, pauses = charge.ends_as if state == "canceled" else state, charge.pauses
        if not (charge.state == state and state in ("action_required", "canceling")):
            charge = charge._replace(
                state=state, dead=state in DEAD, superseded=False, pauses=pauses and state == "canceling",
                ends_as=(step.ends_as or "canceled") if state == "canceling" else "",
                linked=charge.linked or state == "action_required",
            )  # fmt: skip
            if state == "action_required" or (state == "canceled" and pauses):
                scene = scene._replace(allowed=False)
        if step.state != "canceling":
            yield scene, charge, IDLE
            return
        for after in self._read(charge, Call.START, Heard.NOTHING):
            yield scene, charge, after


def settle(scene: Scene, charge: Charge) -> tuple[Scene, Charge]:
    """billing.settle_payment: granted once, whatever the row says."""
    if charge.intent != SUCCEEDED or charge.granted:
        return scene, charge
    done = charge._replace(
        state="succeeded", dead=True, granted=True, ends_as="", pauses=False, superseded=False
    )
    return scene._replace(needed=False), forgotten(done)


def forgotten(charge: Charge) -> Charge:
    """Without what does not matter any more: of a charge that is over here and at Stripe, only whether it took money."""
    if not charge.dead or (charge.sent and charge.intent in MAY_TAKE):
        return charge
    taken = charge.intent == SUCCEEDED
    return Charge(
        state=charge.state, has_intent=True, dead=True, granted=charge.granted, parked=charge.parked,
        need=charge.need if taken else 0, intent=SUCCEEDED if taken else CANCELED,
    )  # fmt: skip


def executed(charge: Charge) -> Iterator[Charge]:
    """What becomes of a request on its way: it never comes there, or Stripe executes it."""
    yield charge._replace(late="")
    for after, _heard in _execute(charge.late, charge):
        yield after._replace(late="")


def outside(scene: Scene) -> Iterator[tuple[Scene, bool]]:
    """Switching off or a dispute; a person resumes; another card. Whether what waits for its holder is superseded."""
    yield scene._replace(allowed=False), False
    yield scene._replace(allowed=True), True
    yield scene._replace(allowed=True, card=1 - scene.card), True


def parked(charge: Charge) -> Charge:
    """Money of a foreign PaymentIntent comes in for this charge's payment (billing._park_payment)."""
    return charge._replace(
        parked=True, dead=not charge.sent, state="canceling" if charge.sent else "canceled",
        ends_as="canceled" if charge.sent else "", pauses=False, superseded=False,
    )  # fmt: skip


def _execute(call: str, charge: Charge) -> Iterator[tuple[Charge, Heard]]:
    """What Stripe may do with a request, and answer."""
    if call == Call.CREATE:
        if charge.has_intent:
            yield charge, Heard.UNCONFIRMED
        elif charge.created == "5":
            yield charge, Heard.REPLAYED
        elif charge.created:
            yield charge, Heard.UNCONFIRMED
        else:
            yield charge._replace(created="U", intent=UNCONFIRMED), Heard.UNCONFIRMED
            yield charge._replace(created="5"), Heard.LOST
            yield charge._replace(created="5", intent=UNCONFIRMED), Heard.LOST
            yield charge, Heard.REFUSED
    elif call == Call.CANCEL:
        if charge.intent in CANCELABLE:
            yield charge._replace(intent=CANCELED), Heard.CANCELED
            yield charge, Heard.REFUSED
        else:
            yield charge, Heard.MISSING if charge.intent in (GONE, NONE) else Heard.UNEXPECTED
    elif call == Call.CONFIRM:
        yield from _confirm(charge)
    else:
        yield charge, STATUS[charge.intent]
        yield charge, Heard.OTHER


def _confirm(charge: Charge) -> Iterator[tuple[Charge, Heard]]:
    yield charge, Heard.REFUSED  # a key with other parameters, a customer that is gone
    if charge.key:
        yield charge, REPLAYS[charge.key]
    elif charge.intent == GONE:
        yield charge, Heard.MISSING
    elif charge.intent == UNCONFIRMED:
        for status in (SUCCEEDED, PROCESSING, HOLDER, DECLINED):
            yield charge._replace(intent=status, key=status), STATUS[status]
        yield charge._replace(intent=SUCCEEDED, key="5"), Heard.LOST
        yield charge._replace(key="5"), Heard.LOST
        yield charge._replace(key="R"), Heard.REFUSED
    else:
        yield charge._replace(key="X"), Heard.UNEXPECTED


def bank(charge: Charge) -> Iterator[Charge]:
    if charge.intent == PROCESSING:
        yield charge._replace(intent=SUCCEEDED)
        yield charge._replace(intent=DECLINED)


def people(charge: Charge) -> Iterator[Charge]:
    """A card holder with the link, somebody in the Dashboard, test data that is deleted."""
    if charge.linked and charge.intent in (HOLDER, DECLINED):
        for status in (SUCCEEDED, PROCESSING, DECLINED):
            yield charge._replace(intent=status)
    if charge.intent in CANCELABLE:
        yield charge._replace(intent=CANCELED)
        yield charge._replace(intent=GONE)
    if charge.key:
        yield charge._replace(key="")  # Stripe forgets keys after a day
    if charge.intent == UNCONFIRMED:
        yield charge._replace(intent=NO_METHOD)
