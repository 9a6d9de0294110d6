"""What becomes of a notice: who gets it, one worker a delivery, waits between tries, endpoints that fail, replays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.notice_models import Notice
from shared.notices import ACCOUNT_TOPICS, SLACK_TOPICS
from tests.sql.books import Books

SECRET = "whsec_" + "A" * 32
CHANNELS = ["mail", "slack", "webhook"]
MINUTE, HOUR = 60, 3600


@pytest.fixture(autouse=True)
def account(books: Books) -> None:
    books.open("a", 100)
    books.open("b", 100)


def endpoint(books: Books, name: str = "whe_1", account: str | None = None, **more: Any) -> str:
    topics, url = more.get("topics"), "https://platform.example/hook"
    books.ledger.create_webhook_endpoint(name, account, url, topics, SECRET, "test")
    return name


def notify(books: Books, topic: str = "balance.low", account: str = "a") -> int:
    """A notice, before anybody planned it."""
    key = books.fresh("key")
    books.query("select billing._notify(%s, %s, %s, '{}')", account, topic, key)
    return int(books.value("select id from billing.outbox where dedupe_key = %s", f"{topic}:{key}"))


def plan(books: Books, slack: list[str] | None = None) -> int:
    return books.ledger.plan_notices(1000, SLACK_TOPICS if slack is None else slack, ACCOUNT_TOPICS)


def receivers(books: Books, notice: int) -> set[str]:
    rows = books.query(
        "select channel, endpoint_id from billing.notice_deliveries where notice_id = %s", notice
    )
    return {row["endpoint_id"] or row["channel"] for row in rows}


def delivery(books: Books, channel: str = "mail") -> int:
    """A planned delivery by the channel."""
    notify(books, "topup.paused")
    plan(books)
    return int(books.value("select max(id) from billing.notice_deliveries where channel = %s", channel))


def state(books: Books, number: int) -> tuple[str, str | None]:
    row = books.query("select state, reason from billing.notice_deliveries where id = %s", number)[0]
    return row["state"], row["reason"]


def claim(books: Books, number: int) -> Notice | None:
    """The delivery, when its wait is over."""
    books.query("update billing.notice_deliveries set next_attempt_at = now() where id = %s", number)
    return books.ledger.claim_notice(number, CHANNELS)


def fail(books: Books, number: int, outcome: str = "pending") -> None:
    assert claim(books, number)
    books.ledger.finish_notice(number, outcome, "http_500")


def wait_of(books: Books, number: int) -> int:
    seconds = (
        "select extract(epoch from next_attempt_at - now()) from billing.notice_deliveries where id = %s"
    )
    return round(books.value(seconds, number))


def told(books: Books) -> list[dict[str, Any]]:
    return [
        row["payload"]
        for row in books.query(
            "select payload from billing.outbox where topic = 'operations.webhook_disabled' order by id"
        )
    ]


def test_a_notice_goes_to_everybody_who_wants_it_and_to_nobody_else(books: Books) -> None:
    endpoint(books, "platform")
    endpoint(books, "own", "a")
    endpoint(books, "others", "b")
    endpoint(books, "chosen", "a", topics=["topup.paused"])
    low, paused = notify(books), notify(books, "topup.paused")
    operators = notify(books, "operations.fraud_warning")
    assert plan(books) == 3
    assert receivers(books, low) == {"mail", "platform", "own"}
    assert receivers(books, paused) == {"mail", "slack", "platform", "own", "chosen"}
    assert receivers(books, operators) == {"mail", "slack"}


def test_without_slack_nothing_is_planned_for_it(books: Books) -> None:
    number = notify(books, "topup.paused")
    plan(books, slack=[])
    assert receivers(books, number) == {"mail"}


def test_a_topic_that_was_switched_off_is_not_mailed_and_its_webhooks_stay(books: Books) -> None:
    endpoint(books)
    books.ledger.set_notice_preference("a", "balance.low", "mail", False, "test")
    mine, others = notify(books), notify(books, account="b")
    plan(books)
    assert (receivers(books, mine), receivers(books, others)) == ({"whe_1"}, {"mail", "whe_1"})
    books.ledger.set_notice_preference("a", "balance.low", "mail", True, "test")
    again = notify(books)
    plan(books)
    assert receivers(books, again) == {"mail", "whe_1"}


def test_eight_planners_make_each_delivery_once(books: Books) -> None:
    endpoint(books)
    for _ in range(40):
        notify(books)
    planned = books.together(8, lambda _: plan(books))
    assert sum(number for number in planned if isinstance(number, int)) == 40
    assert books.value("select count(*) from billing.notice_deliveries") == 80


def test_what_the_version_before_is_sending_is_left_alone_until_its_lease_is_over(books: Books) -> None:
    """It claims and finishes rows of the outbox; what it did not end is planned, and keeps its number as webhook-id."""
    number = notify(books)
    books.query("update billing.outbox set claims = 1, next_attempt_at = now() + interval '1 minute'")
    assert plan(books) == 0
    books.query("update billing.outbox set next_attempt_at = now()")
    assert plan(books) == 1
    taken = claim(books, books.value("select id from billing.notice_deliveries"))
    assert taken is not None
    assert taken["id"] == number


def test_the_version_before_gets_mail_alone(books: Books) -> None:
    endpoint(books)
    mail, webhook = delivery(books), delivery(books, "webhook")
    assert books.value("select billing.claim_notice(%s)", webhook) is None
    old = books.value("select billing.claim_notice(%s)", mail)
    assert {"id", "account_name", "email", "topic", "payload"} <= set(old)


@pytest.mark.parametrize("channel", CHANNELS)
def test_one_of_ten_workers_gets_a_delivery_with_what_it_needs(books: Books, channel: str) -> None:
    endpoint(books)
    number = delivery(books, channel)
    answers = [
        answer
        for answer in books.together(10, lambda _: books.ledger.claim_notice(number, CHANNELS))
        if answer
    ]
    assert len(answers) == 1
    assert isinstance(answers[0], dict)
    seen = {
        name: answers[0][name]
        for name in ("account_id", "account_name", "email", "topic", "claims", "channel")
    }
    assert seen == {
        "account_id": "a",
        "account_name": "An account",
        "email": "a@example.com",
        "topic": "topup.paused",
        "claims": 1,
        "channel": channel,
    }
    assert answers[0]["secrets"] == [SECRET if channel == "webhook" else None]


@pytest.mark.parametrize("outcome", ["sent", "skipped"])
def test_a_delivery_ends_once(books: Books, outcome: str) -> None:
    number = delivery(books, "slack")
    books.ledger.claim_notice(number, CHANNELS)
    books.ledger.finish_notice(number, outcome, None)
    with books.nothing_moves():
        books.ledger.finish_notice(number, "pending", "late")
        assert books.ledger.claim_notice(number, CHANNELS) is None
    assert number not in books.ledger.due_work(10)["notices"]


@pytest.mark.parametrize("channel", ["mail", "slack"])
def test_mail_and_slack_are_tried_eight_times(books: Books, channel: str) -> None:
    number = delivery(books, channel)
    for _ in range(8):
        assert state(books, number)[0] == "pending"
        fail(books, number)
    assert state(books, number) == ("failed", "http_500")
    assert books.ledger.operations_summary()["notices_failed"] == 1


def test_a_webhook_waits_longer_each_time_and_fails_after_ten_tries(books: Books) -> None:
    endpoint(books)
    number = delivery(books, "webhook")
    waits = []
    for _ in range(9):
        fail(books, number)
        waits.append(wait_of(books, number))
    wanted = [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
    assert all(abs(found - expected) <= 2 for found, expected in zip(waits, wanted, strict=True)), waits
    assert state(books, number)[0] == "pending"
    fail(books, number)
    assert state(books, number) == ("failed", "http_500")


def test_a_delivery_whose_workers_always_die_waits_six_hours_at_most(books: Books) -> None:
    number = delivery(books)
    books.query("update billing.notice_deliveries set claims = 2000 where id = %s", number)
    assert claim(books, number)
    assert wait_of(books, number) <= 6 * HOUR


def test_claims_that_ended_without_a_failure_of_the_receiver_do_not_give_a_delivery_up(books: Books) -> None:
    """The database failed, or the worker died, before anything was noted."""
    for channel, failures in (("mail", 8), ("webhook", 10)):
        if channel == "webhook":
            endpoint(books)
        number = delivery(books, channel)
        for _ in range(20):
            books.query("update billing.notice_deliveries set next_attempt_at = now() where id = %s", number)
            assert claim(books, number)
        for _ in range(failures):
            assert state(books, number)[0] == "pending"
            fail(books, number)
        assert state(books, number)[0] == "failed"


def test_a_delivery_to_an_endpoint_that_is_gone_or_off_is_skipped(books: Books) -> None:
    endpoint(books)
    off, deleted = delivery(books, "webhook"), delivery(books, "webhook")
    books.query("update billing.webhook_endpoints set enabled = false")
    assert claim(books, off) is None
    books.ledger.delete_webhook_endpoint("whe_1", None, "test")
    assert claim(books, deleted) is None
    assert state(books, off) == state(books, deleted) == ("skipped", "endpoint_disabled")


def test_an_endpoint_that_says_gone_is_off_at_once_and_operators_are_told(books: Books) -> None:
    endpoint(books, account="a")
    number = delivery(books, "webhook")
    fail(books, number, "gone")
    assert state(books, number)[0] == "failed"
    (shown,) = books.ledger.list_webhook_endpoints("a")
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "gone")
    assert [(row["endpoint_id"], row["account_id"], row["reason"]) for row in told(books)] == [
        ("whe_1", "a", "gone")
    ]
    later = notify(books)
    plan(books)
    assert receivers(books, later) == {"mail"}


def test_an_endpoint_that_failed_for_five_days_is_off_and_one_success_starts_anew(books: Books) -> None:
    endpoint(books)
    fail(books, delivery(books, "webhook"))
    books.age("4 days")
    working = delivery(books, "webhook")
    assert claim(books, working)
    books.ledger.finish_notice(working, "sent", None)
    fail(books, delivery(books, "webhook"))
    books.age("4 days 23 hours")
    fail(books, delivery(books, "webhook"))
    assert books.ledger.list_webhook_endpoints(None)[0]["enabled"]
    assert told(books) == []
    books.age("2 hours")
    fail(books, delivery(books, "webhook"))
    assert books.ledger.list_webhook_endpoints(None)[0]["disabled_reason"] == "failing"
    assert [row["account_id"] for row in told(books)] == [None]
    assert books.ledger.enable_webhook_endpoint("whe_1", None, "test")["failing_since"] is None


def test_a_notice_of_the_platforms_endpoint_reaches_operators_without_an_account(books: Books) -> None:
    endpoint(books)
    fail(books, delivery(books, "webhook"), "gone")
    plan(books)
    number = books.value(
        "select d.id from billing.notice_deliveries d join billing.outbox o on o.id = d.notice_id"
        " where o.topic = 'operations.webhook_disabled' and d.channel = 'slack'"
    )
    taken = claim(books, number)
    assert taken is not None
    assert (taken["account_id"], taken["account_name"]) == (None, None)


def test_a_replay_sends_what_failed_was_missed_or_came_before_and_nothing_twice(books: Books) -> None:
    early = notify(books)
    plan(books)
    endpoint(books)
    failed, sent = delivery(books, "webhook"), delivery(books, "webhook")
    for _ in range(10):
        fail(books, failed)
    assert claim(books, sent)
    books.ledger.finish_notice(sent, "sent", None)
    books.query("update billing.webhook_endpoints set enabled = false")
    missed = notify(books)
    plan(books)
    with books.refused("state_conflict"):
        books.ledger.replay_webhooks("whe_1", None, books.value("select now()::text"), ACCOUNT_TOPICS, "test")
    books.ledger.enable_webhook_endpoint("whe_1", None, "test")
    since = books.value("select (now() - interval '1 hour')::text")
    assert books.ledger.replay_webhooks("whe_1", None, since, ACCOUNT_TOPICS, "test") == 3
    assert "whe_1" in receivers(books, early) & receivers(books, missed)
    assert (state(books, failed), state(books, sent)[0]) == (("pending", None), "sent")
    with books.refused("invalid_value"):
        books.ledger.replay_webhooks("whe_1", None, "2020-01-01T00:00:00Z", ACCOUNT_TOPICS, "test")


def test_an_account_manages_its_own_endpoints_alone(books: Books) -> None:
    endpoint(books, "own", "a")
    endpoint(books, "others", "b")
    endpoint(books, "platform")
    assert [row["id"] for row in books.ledger.list_webhook_endpoints("a")] == ["own"]
    ledger = books.ledger
    calls: list[tuple[Callable[..., object], tuple[object, ...]]] = [
        (ledger.delete_webhook_endpoint, ("test",)),
        (ledger.enable_webhook_endpoint, ("test",)),
        (ledger.roll_webhook_secret, (SECRET + "B", "test")),
        (ledger.test_webhook_endpoint, ("t",)),
        (ledger.list_webhook_deliveries, (10, None)),
        (ledger.replay_webhooks, ("2100-01-01T00:00:00Z", ACCOUNT_TOPICS, "test")),
    ]
    for other in ("others", "platform", "none"):
        for call, more in calls:
            with books.refused("not_found"):
                call(other, "a", *more)


def test_a_rolled_secret_signs_beside_the_new_one_for_a_day(books: Books) -> None:
    endpoint(books)
    new = SECRET + "B"
    for _ in range(2):
        books.ledger.roll_webhook_secret("whe_1", None, new, "test")
    first, second = delivery(books, "webhook"), delivery(books, "webhook")
    taken = claim(books, first)
    assert taken is not None
    assert taken["secrets"] == [new, SECRET]
    books.age("25 hours")
    taken = claim(books, second)
    assert taken is not None
    assert taken["secrets"] == [new]


def test_no_answer_but_a_claim_shows_a_secret(books: Books) -> None:
    endpoint(books)
    ledger = books.ledger
    answers = [
        ledger.list_webhook_endpoints(None),
        ledger.roll_webhook_secret("whe_1", None, SECRET + "B", "test"),
        ledger.test_webhook_endpoint("whe_1", None, "t"),
        ledger.list_webhook_deliveries("whe_1", None, 10, None),
        ledger.list_notices(None, 10),
        ledger.delete_webhook_endpoint("whe_1", None, "test"),
    ]
    assert SECRET not in str(answers)
    assert SECRET not in str(books.query("select * from billing.audit_log"))


def test_an_account_has_at_most_twenty_endpoints(books: Books) -> None:
    for number in range(20):
        endpoint(books, f"e{number}", "a")
    with books.refused("state_conflict"):
        endpoint(books, "one more", "a")
    endpoint(books, "e19", "a")
    endpoint(books, "platform")


def test_operators_replay_a_delivery_or_all_that_failed(books: Books) -> None:
    first, second = delivery(books), delivery(books)
    for number in (first, second):
        for _ in range(8):
            fail(books, number)
    assert books.ledger.replay_notices(first, "test") == [first]
    assert books.ledger.replay_notices(None, "test") == [second]
    assert set(books.ledger.due_work(10)["notices"]) >= {first, second}
    assert books.ledger.list_notices("failed", 10) == []
    with books.refused("not_found"):
        books.ledger.replay_notices(999_999, "test")
