"""Dead letters, as units: what the scripts do to Dramatiq's keys. tests/web/test_dead_letters.py has them with a broker."""

from __future__ import annotations

import json

import fakeredis
import pytest

from shared.dead_letters import DeadLetter, DeadLetters
from shared.errors import Refused

OPTIONS = {"retries": 3, "traceback": "Traceback\n  x\nValueError: no", "eta": 1, "redis_message_id": "m-1"}


@pytest.fixture
def client() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis(server=fakeredis.FakeServer())


def bury(
    client: fakeredis.FakeRedis, letter: str, died_ms: float, data: bytes | None, queue: str = "usage"
) -> None:
    client.zadd(f"dramatiq:{queue}.XQ", {letter: died_ms})
    if data is not None:
        client.hset(f"dramatiq:{queue}.XQ.msgs", letter, data)


def message(**options: object) -> bytes:
    return json.dumps(
        {"actor_name": "record_usage", "queue_name": "usage", "args": ["a"], "options": options}
    ).encode()


def everything(client: fakeredis.FakeRedis) -> dict[bytes, object]:
    kinds = {b"zset": lambda key: client.zrange(key, 0, -1, withscores=True), b"hash": client.hgetall,
             b"list": lambda key: client.lrange(key, 0, -1)}  # fmt: skip
    return {key: kinds[client.type(key)](key) for key in sorted(client.keys())}


def test_letters_of_all_queues_are_listed_with_the_newest_first(client: fakeredis.FakeRedis) -> None:
    bury(client, "old", 1_700_000_000_000, message(**OPTIONS))
    bury(client, "new", 1_700_000_100_000, message(), queue="payments")
    first, second = DeadLetters(client).all()
    assert (first.id, first.queue, first.reason, first.died_at) == (
        "new",
        "payments",
        None,
        "2023-11-14T22:15:00+00:00",
    )
    assert (second.id, second.queue, second.actor, second.reason) == (
        "old",
        "usage",
        "record_usage",
        "ValueError: no",
    )
    assert DeadLetters(client).all("usage") == [second]


@pytest.mark.parametrize("data", [b"\xff\x00", b"[]", b'{"options": 1}', b"null"])
def test_what_is_no_message_of_dramatiq_is_listed_and_put_back_as_it_is(
    client: fakeredis.FakeRedis, data: bytes
) -> None:
    bury(client, "odd", 0, data)
    (letter,) = DeadLetters(client).all()
    assert letter == DeadLetter("odd", "usage", "1970-01-01T00:00:00+00:00", None, None, data)
    DeadLetters(client).requeue("odd")
    assert everything(client) == {b"dramatiq:usage": [b"odd"], b"dramatiq:usage.msgs": {b"odd": data}}


def test_an_id_without_a_message_is_not_listed(client: fakeredis.FakeRedis) -> None:
    bury(client, "expired", 0, None)
    assert DeadLetters(client).all() == []


def test_a_message_put_back_loses_its_past_and_nothing_else(client: fakeredis.FakeRedis) -> None:
    bury(client, "m-1", 0, message(**OPTIONS))
    DeadLetters(client).requeue("m-1")
    left = everything(client)
    assert list(left) == [b"dramatiq:usage", b"dramatiq:usage.msgs"]
    fresh = json.loads(client.hget("dramatiq:usage.msgs", "m-1"))  # type: ignore[arg-type]
    assert fresh == json.loads(message(redis_message_id="m-1"))


@pytest.mark.parametrize("action", ["requeue", "delete"])
def test_an_unknown_letter_is_refused_and_nothing_moves(client: fakeredis.FakeRedis, action: str) -> None:
    bury(client, "m-1", 0, message(**OPTIONS))
    before = everything(client)
    with pytest.raises(Refused, match="no dead letter m-2"):
        getattr(DeadLetters(client), action)("m-2")
    assert everything(client) == before


def test_a_letter_that_changed_since_it_was_read_is_not_put_back(
    client: fakeredis.FakeRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another operator was faster, and it died again with another traceback."""
    bury(client, "m-1", 0, message(**OPTIONS))
    letters = DeadLetters(client)
    (read,) = letters.all()
    bury(client, "m-1", 5, message(retries=1))
    before = everything(client)
    monkeypatch.setattr(letters, "_find", lambda _id: read)
    with pytest.raises(Refused, match="no dead letter m-1"):
        letters.requeue("m-1")
    assert everything(client) == before


def test_a_deleted_letter_leaves_nothing(client: fakeredis.FakeRedis) -> None:
    bury(client, "m-1", 0, message(**OPTIONS))
    DeadLetters(client).delete("m-1")
    assert everything(client) == {}
