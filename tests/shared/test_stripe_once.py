"""Attempts, their keys, and when a Checkout Session closes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from shared import keys
from shared.errors import StripeUnavailable
from shared.stripe_creation import session_end
from shared.stripe_errors import StripeBusy, StripeRefused
from shared.stripe_once import ATTEMPTS_MAX, once

OPENED = dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC)
MADE = {"id": "x"}


def refused(**more: Any) -> StripeRefused:
    return StripeRefused("no", more.pop("code", None), None, **more)


class Stripe:
    """Answers with each of `said` in turn; keeps the keys."""

    def __init__(self, *said: Any, found: Any = None) -> None:
        self.said, self.found, self.keys, self.looks = list(said), found, [], 0

    def create(self, key: str) -> Any:
        self.keys.append(key)
        answer = self.said.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def find(self) -> Any:
        self.looks += 1
        return self.found


@pytest.mark.parametrize(
    "failure",
    [
        StripeUnavailable("500", replayed=True),
        refused(code="idempotency_error"),
        refused(code="resource_missing", replayed=True),
    ],
)
def test_a_used_up_key_is_followed_by_a_look_and_then_by_the_next_key(failure: Exception) -> None:
    stripe = Stripe(failure, MADE)
    assert once("k", stripe.create, stripe.find) == MADE
    assert (stripe.keys, stripe.looks) == (["k", "2:k"], 1)
    found = Stripe(failure, found={"id": "before"})
    assert once("k", found.create, found.find) == {"id": "before"}
    assert found.keys == ["k"]


@pytest.mark.parametrize(
    "failure",
    [
        StripeUnavailable("lost", replayed=False),
        StripeUnavailable("lost"),
        StripeBusy("429"),
        refused(code="amount_too_small"),
    ],
)
def test_a_fresh_failure_is_raised_and_the_key_stays(failure: Exception) -> None:
    stripe = Stripe(failure)
    with pytest.raises(type(failure)):
        once("k", stripe.create, stripe.find)
    assert (stripe.keys, stripe.looks) == (["k"], 0)


def test_attempts_end() -> None:
    stripe = Stripe(*[StripeUnavailable("500", replayed=True)] * (ATTEMPTS_MAX + 1))
    with pytest.raises(StripeUnavailable):
        once("k", stripe.create, stripe.find)
    assert len(set(stripe.keys)) == ATTEMPTS_MAX


@pytest.mark.parametrize("length", [1, 200, 254, 255, 256, 400])
def test_a_key_is_never_longer_than_stripe_takes_and_attempts_never_share_one(length: int) -> None:
    found = [keys.numbered("k" * length, attempt) for attempt in range(1, 12)]
    assert len(set(found)) == 11
    assert max(map(len, found)) <= 255


def test_no_account_shares_a_key_with_another() -> None:
    accounts = ("a", "a:2", "2:a", "2", "a:2:2", "customer:a")
    found = [keys.customer_create(account, attempt) for account in accounts for attempt in range(1, 5)]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("minutes", [0, 1, 24, 25, 30, 59, 60, 600, 100_000])
def test_a_session_has_at_least_half_an_hour_and_repeats_within_a_step_send_the_same(minutes: int) -> None:
    now = OPENED + dt.timedelta(minutes=minutes)
    end = session_end(OPENED.isoformat(), now)
    assert end - now.timestamp() >= 31 * 60
    assert end - now.timestamp() <= 60 * 60
    assert end == session_end(OPENED.isoformat(), OPENED + dt.timedelta(minutes=minutes - minutes % 25))
    if minutes < 25:
        assert end == (OPENED + dt.timedelta(hours=1)).timestamp()
