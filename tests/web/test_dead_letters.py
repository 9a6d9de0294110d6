"""Dead letters on the command line, with Dramatiq's own broker over a real Redis."""

from __future__ import annotations

import dramatiq
import pytest
from flask import Flask

from shared import dead_letters as letters_module
from shared import queue as queues
from shared.dead_letters import DeadLetters
from shared.settings import Settings
from tests.web.test_cli import run


@pytest.fixture
def broker(queue: queues.Queue) -> dramatiq.Broker:
    """Dramatiq's broker, with every queue declared."""
    for name in queues.QUEUES:
        queue.broker.declare_queue(name)
    return queue.broker


def die(broker: dramatiq.Broker, queue: str = "usage", data: bytes | None = None) -> str:
    """A message that a worker took and gave up after three tries; its id in Redis."""
    options = {"retries": 3, "traceback": "Traceback\n  x\nValueError: no"}
    broker.enqueue(
        dramatiq.Message(queue_name=queue, actor_name="record_usage", args=("a",), kwargs={}, options=options)
    )
    consumer = broker.consume(queue, prefetch=1, timeout=100)
    message = next(consumer)
    assert message is not None
    if data is not None:
        broker.client.hset(f"dramatiq:{queue}.msgs", message.options["redis_message_id"], data)  # type: ignore[attr-defined]
    consumer.nack(message)
    consumer.close()
    return str(message.options["redis_message_id"])


def test_a_dead_letter_is_listed_with_its_reason(app: Flask, broker: dramatiq.Broker) -> None:
    usage, payment = die(broker), die(broker, "payments")
    listed = run(app, "dead-letters", "list").output
    assert usage in listed
    assert payment in listed
    assert "record_usage  ValueError: no" in listed
    only = run(app, "dead-letters", "list", "--queue", "payments").output
    assert (payment in only, usage in only) == (True, False)


def test_a_requeued_message_is_fetched_again_as_if_it_were_new(app: Flask, broker: dramatiq.Broker) -> None:
    letter = die(broker)
    assert run(app, "dead-letters", "requeue", letter).output == f"{letter} is on usage again\n"
    consumer = broker.consume("usage", prefetch=1, timeout=100)
    message = next(consumer)
    assert message is not None
    assert (message.args, message.actor_name, message.queue_name) == (("a",), "record_usage", "usage")
    assert set(message.options) == {"redis_message_id"}
    consumer.ack(message)
    consumer.close()
    assert run(app, "dead-letters", "list").output == ""
    assert run(app, "dead-letters", "requeue", letter).exit_code == 1


def test_a_deleted_one_is_gone_and_the_others_stay(app: Flask, broker: dramatiq.Broker) -> None:
    gone, stays = die(broker), die(broker)
    assert run(app, "dead-letters", "delete", gone).exit_code == 0
    listed = run(app, "dead-letters", "list").output
    assert (gone in listed, stays in listed) == (False, True)
    assert run(app, "dead-letters", "delete", gone).exit_code == 1


def test_what_is_no_message_is_listed_and_put_back_unchanged(
    app: Flask, broker: dramatiq.Broker, settings: Settings
) -> None:
    letter = die(broker, data=b"\xff{")
    assert "no message" in run(app, "dead-letters", "list").output
    assert run(app, "dead-letters", "requeue", letter).exit_code == 0
    assert broker.client.hget("dramatiq:usage.msgs", letter) == b"\xff{"  # type: ignore[attr-defined]


def test_a_requeue_that_another_one_overtook_duplicates_nothing(
    broker: dramatiq.Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = die(broker)
    client = broker.client  # type: ignore[attr-defined]
    first, second = DeadLetters(client), DeadLetters(client)
    stale = first.all()
    second.requeue(letter)
    monkeypatch.setattr(first, "all", lambda: stale)
    with pytest.raises(letters_module.Refused):
        first.requeue(letter)
    assert client.llen("dramatiq:usage") == 1


def test_unknown_ids_and_queues_are_refused(app: Flask) -> None:
    assert run(app, "dead-letters", "requeue", "nothing").exit_code == 1
    assert run(app, "dead-letters", "list", "--queue", "nothing").exit_code == 2
