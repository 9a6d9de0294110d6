"""Thirty days of traffic on cards that decline: how often they are charged, and what their accounts are told.

T12, T13, T16 and no. 44 to 47, hour by hour. The local Stripe counts the charges. Caps a day and a month are not part of it:
their windows begin with the real day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from local.stripe.app import LocalStripe
from shared.seals import Sealer
from shared.settings import Settings
from tests.support import Database
from tests.workers.month import DAYS, START, THRESHOLD, Month, Tenant

FIRST = START - THRESHOLD - 1
"""The hour in which the balance reaches the threshold, at a credit an hour."""
SOFT = {"decline_code": "insufficient_funds", "advice_code": "try_again_later"}
HARD = {"decline_code": "stolen_card", "advice_code": "do_not_try_again"}
BACK_OFF = [FIRST, FIRST + 1, FIRST + 3, FIRST + 7]
"""After the first decline one, two and four hours; then nobody charges any more."""
DAY = 24


@pytest.fixture(scope="module")
def server() -> Iterator[LocalStripe]:
    with LocalStripe.start() as made:
        yield made


@pytest.fixture
def environment() -> dict[str, str]:
    """Settings beside the usual ones."""
    return {}


@pytest.fixture
def month(
    server: LocalStripe,
    database: Database,
    settings: Settings,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Month]:
    server.control.reset()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = stripe.StripeClient("sk_test_123", base_addresses={"api": server.url})
    with Month(database, Settings(), client, server.control, Sealer("a test key")) as made:
        yield made
        assert server.control.violations() == []
        twice = made.query(
            "select notice_id from billing.notice_deliveries group by notice_id, channel having count(*) > 1"
        )
        assert twice == [], "a notice is sent once by a channel"
        unplanned = made.query("select id from billing.outbox where state <> 'sent'")
        assert unplanned == [], "every notice is planned"
        for tenant in made.tenants:
            assert len(set(tenant.attempts)) == len(tenant.attempts), "one attempt an hour at most"


def told(tenant: Tenant, **topics: int) -> None:
    """These notices and no others, by their topics with a _ for the dot."""
    assert tenant.notices == Counter({name.replace("_", ".", 1): n for name, n in topics.items()})


def test_a_month_without_grace(month: Month) -> None:
    soft = month.tenant("soft", card=SOFT)
    hard = month.tenant("hard", card=HARD)
    silent = month.tenant("silent", card={"decline_code": "do_not_honor"})
    holder = month.tenant("holder", card={"outcome": "authentication_required"})
    edge = month.tenant("edge", card=SOFT, usage=0, plan={FIRST: lambda t: t.spend(START - THRESHOLD)})
    renewed = month.tenant("renewed", card=SOFT, plan={12 * DAY: Tenant.renew_card})
    stubborn = month.tenant("stubborn", card=SOFT, plan={3 * DAY * n: Tenant.resume for n in range(1, 10)})
    good = month.tenant("good")
    month.live()

    assert soft.attempts == BACK_OFF
    told(soft, topup_declined=1, topup_paused=1, balance_low=2)
    assert (soft.settings["paused_reason"], soft.status, soft.balance) == (
        "declined_repeatedly", "active", START - DAYS * DAY,
    )  # fmt: skip

    assert hard.attempts == [FIRST]
    told(hard, topup_declined=1, topup_paused=1, balance_low=2)
    assert silent.attempts == BACK_OFF[:2]
    told(silent, topup_declined=1, topup_paused=1, balance_low=2)

    assert holder.attempts == [FIRST]
    told(holder, topup_action_required=1, topup_paused=1, balance_low=2)
    assert holder.settings["paused_reason"] == "authentication_expired"

    assert (edge.attempts, edge.balance) == (BACK_OFF, THRESHOLD)
    told(edge, topup_declined=1, topup_paused=1, balance_low=1)

    again = [3 * DAY * n + after for n in range(1, 10) for after in ((0, 1, 3, 7) if n < 2 else (0,))]
    assert len(BACK_OFF + again) <= 1 + 15, "reattempts that Visa allows for one card in 30 days"
    assert stubborn.attempts == BACK_OFF + again
    told(stubborn, topup_declined=10, topup_paused=10, balance_low=2)

    assert renewed.attempts[:5] == [*BACK_OFF, 12 * DAY]
    assert renewed.charged == len(renewed.attempts) - 4
    assert renewed.balance == START - DAYS * DAY + 100 * granted(renewed)
    assert (renewed.notices["topup.recovered"], renewed.notices["topup.declined"]) == (1, 1)
    assert renewed.notices["topup.succeeded"] == renewed.charged

    assert good.charged == len(good.attempts) == 8
    told(good, topup_succeeded=8, balance_low=8)


def granted(tenant: Tenant) -> int:
    """How many hundreds of credits top-ups have brought."""
    rows = tenant.month.query(
        "select sum(granted) / 100000000 as n from billing.credit_lots where account_id = %s and kind = 'topup'",
        tenant.id,
    )
    return int(rows[0]["n"])


@pytest.mark.parametrize("environment", [{"GRACE_HOURS": "48", "GRACE_CREDITS": "20"}])
def test_a_month_with_grace(month: Month) -> None:
    soft = month.tenant("soft", card=SOFT)
    hard = month.tenant("hard", card=HARD, usage=0, spends=1)
    renewed = month.tenant("renewed", card=SOFT, plan={12 * DAY: Tenant.renew_card})
    good = month.tenant("good")
    month.live()

    stopped: dict[str, Any] = {
        "topup_declined": 1,
        "topup_paused": 1,
        "account_grace": 1,
        "account_paused": 1,
    }
    assert soft.attempts == BACK_OFF
    told(soft, **stopped, balance_low=2)
    assert (soft.status, hard.status, good.status) == ("paused", "paused", "active")

    assert hard.attempts == [FIRST]
    told(hard, **stopped, balance_low=2)
    assert hard.balance == -20, "an agent in grace spends no further than that"

    assert renewed.attempts[:5] == [*BACK_OFF, 12 * DAY]
    assert (renewed.status, renewed.notices["topup.recovered"]) == ("active", 1)
    assert {name: renewed.notices[name] for name in ("account.grace", "account.paused", "topup.paused")} == {
        "account.grace": 1, "account.paused": 1, "topup.paused": 1,
    }  # fmt: skip
    told(good, topup_succeeded=8, balance_low=8)
