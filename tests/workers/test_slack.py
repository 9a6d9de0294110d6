"""Slack: what operators must see, escaped as Slack asks, tried again after failures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from shared.notices import SLACK_TOPICS
from shared.settings import Settings
from tests.workers.receivers import Receiver, receiver, status
from tests.workers.test_mail import PAYLOADS, notice
from tests.workers.world import ACCOUNT, World
from workers import delivery, slack
from workers.app import App


@pytest.fixture
def channel() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def with_slack(world: World, channel: Receiver) -> World:
    settings = world.app.settings.model_copy(update={"slack_webhook_url": SecretStr(channel.url)})
    world.app = App(settings, world.ledger, world.stripe, world.queue)
    return world


def notify(world: World, topic: str) -> list[dict[str, Any]]:
    world.query("select billing._notify(%s, %s, 'k', %s)", ACCOUNT, topic, Jsonb(PAYLOADS[topic]))
    delivery.plan(world.app, 100)
    return deliveries(world)


def deliveries(world: World) -> list[dict[str, Any]]:
    return world.query("select * from billing.notice_deliveries where channel = 'slack'")


@pytest.mark.parametrize("topic", PAYLOADS)
def test_operators_see_what_concerns_them_and_nothing_else(
    world: World, channel: Receiver, topic: str
) -> None:
    found = notify(with_slack(world, channel), topic)
    assert bool(found) == (topic in SLACK_TOPICS)
    for row in found:
        delivery.send_notice(world.app, row["id"])
    assert len(channel.requests) == len(found)
    for request in channel.requests:
        message = json.loads(request.body)
        assert {block["type"] for block in message["blocks"]} == {"header", "section", "context"}
        assert ACCOUNT in message["text"]
        assert "Hello" not in request.body.decode()


def test_operators_topics_and_those_of_the_brief_are_there() -> None:
    wanted = {topic for topic in PAYLOADS if topic.startswith("operations.")}
    assert wanted | {"topup.paused", "payment.parked", "dispute.opened"} <= set(SLACK_TOPICS)


def test_nothing_is_planned_for_slack_without_its_setting(world: World) -> None:
    assert notify(world, "topup.paused") == []


def test_markup_of_others_is_escaped(settings: Settings) -> None:
    payload = PAYLOADS["operations.usage_unpriced"] | {"action": "<!channel> & <https://evil.example|x>"}
    message = slack.compose(
        settings, notice("operations.usage_unpriced", payload=payload, account_name="<@U1>")
    )
    said = message["text"] + message["blocks"][1]["text"]["text"] + json.dumps(message["blocks"][2])
    assert "<!channel>" not in said
    assert "<@U1>" not in said
    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|x&gt;" in said


def test_links_of_ours_are_links(settings: Settings) -> None:
    text = slack.compose(settings, notice("topup.paused"))["blocks"][1]["text"]["text"]
    assert f"<{settings.base_url}/billing|Open Refill>" in text


def test_texts_fit_into_slacks_bounds(settings: Settings) -> None:
    payload = PAYLOADS["operations.usage_unpriced"] | {"action": "&" * 5_000}
    blocks = slack.compose(settings, notice("operations.usage_unpriced", payload=payload))["blocks"]
    assert len(blocks[0]["text"]["text"]) <= 150
    assert len(blocks[1]["text"]["text"]) <= 3_000


def test_failure_is_tried_again_and_its_url_is_not_logged(
    world: World, channel: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    (row,) = notify(with_slack(world, channel), "topup.paused")
    channel.answers = [status(500), status(200)]
    delivery.send_notice(world.app, row["id"])
    assert [(found["state"], found["reason"]) for found in deliveries(world)] == [("pending", "http_500")]
    world.query("update billing.notice_deliveries set next_attempt_at = now()")
    delivery.send_notice(world.app, row["id"])
    assert deliveries(world)[0]["state"] == "sent"
    said = "".join(str(vars(record)) for record in caplog.records if record.name.startswith("workers"))
    assert channel.url not in said
