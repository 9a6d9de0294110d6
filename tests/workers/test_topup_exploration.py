"""Every order of what Stripe, the ledger, two workers and people may do to a top-up, and that the search would see a fault.

Each search starts from an account that needs credits and goes through every state that can be reached: every state of a row,
every answer and error of Stripe at every call, executed or not and answered or not, requests that are executed after their
sender died, a crash between any two steps, webhooks that come or do not, and outside events, as many as `events` allows: a
spend, a rise of the balance, switching off, a dispute, another card, a person at the link, somebody in the Dashboard, test
data that is deleted, idempotency keys that Stripe forgets, money of a foreign PaymentIntent.
"""

from __future__ import annotations

import pytest

from tests.workers.topup_model import Model
from tests.workers.topup_search import Found, Search
from workers.topup_steps import RULES, Call, Do, Heard, Row, Rule, Step, decide, find_rule

LOCAL_END = "closed here before Stripe has closed it"
UNSETTLED = "money taken and neither granted nor parked"
TWO_LIVE = "two PaymentIntents that may both take money"


def report(found: Found, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with capsys.disabled():
        print(
            f"\n{name}: {found.states:,} states, {found.transitions:,} transitions, {found.quiet:,} at rest"
        )


@pytest.mark.timeout(600)  # half a minute of one core; on a busy machine several
@pytest.mark.parametrize(
    ("name", "model", "events", "states"),
    [
        pytest.param("two workers, two charges", Model(workers=2), 1, 500_000, id="two workers"),
        pytest.param("one worker at a time, two charges", Model(workers=1), 2, 90_000, id="one worker"),
    ],
)
def test_no_order_of_events_charges_twice_or_leaves_money_without_credits(
    name: str, model: Model, events: int, states: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """At most one successful charge for one need, never two that may both take money, never past the caps; what was sent is
    closed only when Stripe has closed it; at rest all that was paid is granted; from everywhere there is a way to rest.
    """
    found = Search(model, events).run()
    report(found, capsys, name)
    assert found.wrong is None, "\n".join([str(found.wrong), *found.path])
    assert found.stuck == []
    assert found.states > states


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (Model(close_locally=True), LOCAL_END),
        (Model(close_locally=True, workers=1, unchecked=frozenset({LOCAL_END, UNSETTLED})), TWO_LIVE),
        (
            Model(
                close_locally=True, workers=1, cap=1, unchecked=frozenset({LOCAL_END, UNSETTLED, TWO_LIVE})
            ),
            "charges past the cap",
        ),
    ],
)
def test_the_search_finds_a_charge_that_is_closed_here_before_stripe_has_closed_it(
    model: Model, wrong: str
) -> None:
    """The fault that was: the balance had risen, so the row was canceled while its confirmation was still with Stripe."""
    found = Search(model, 2).run()
    assert found.wrong == wrong
    assert len(found.path) > 5


def closes_declined(row: Row, call: Call, heard: Heard) -> Step:
    """Books a decline without canceling its PaymentIntent, which could be confirmed again."""
    step = decide(row, call, heard)
    return Step(Do.RECORD, "declined") if step.ends_as == "declined" else step


def forgets_canceling(row: Row, call: Call, heard: Heard) -> Step:
    """Never asks Stripe again to cancel."""
    return Step(Do.WAIT) if (row.state, call) == ("canceling", Call.START) else decide(row, call, heard)


def test_the_search_finds_a_decline_whose_payment_intent_stays_open() -> None:
    assert Search(Model(decide=closes_declined), 0).run().wrong == LOCAL_END


def test_the_search_finds_a_state_without_a_way_out() -> None:
    found = Search(Model(decide=forgets_canceling, workers=1), 1).run()
    assert (found.wrong, found.stuck != []) == (None, True)
    assert any("state='canceling'" in world for world in found.stuck)


def test_every_rule_of_the_table_is_used_and_none_is_missing() -> None:
    """A missing one would end the search with a LookupError."""
    used: set[Rule] = set()

    def noting(row: Row, call: Call, heard: Heard) -> Step:
        rule = find_rule(row, call, heard)
        used.add(rule)
        return rule.step

    Search(Model(decide=noting, workers=1, charges_max=1), 2).run()
    assert [rule for rule in RULES if rule not in used] == []
