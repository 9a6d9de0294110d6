"""Mails to one person and not to the account: invitations, and a changed address told to the old one."""

from __future__ import annotations

import re
from email.message import EmailMessage

import pytest

from shared import invite_links
from tests.workers.test_mail import part, planned, with_smtp
from tests.workers.world import ACCOUNT, World
from workers import delivery, mail


def test_an_invitation_goes_to_its_address_with_a_link_and_not_once_it_is_withdrawn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[EmailMessage] = []
    monkeypatch.setattr(mail, "deliver", lambda _settings, message: sent.append(message))
    app = with_smtp(world)
    for number, email in ((1, "new@example.com"), (2, "withdrawn@example.com")):
        world.ledger.invite_member(f"inv_{number}", ACCOUNT, email, "admin", "tests")
    world.ledger.withdraw_invitation(ACCOUNT, "inv_2", "tests")
    delivery.plan(app, 10)
    for row in world.query("select id from billing.notice_deliveries order by id"):
        delivery.send_notice(app, row["id"])
    (message,) = sent
    assert message["To"] == "new@example.com"
    found = re.search(rf"{app.settings.base_url}/billing/invitations/(\S+)", part(message))
    assert found
    assert invite_links.invitation_of(app.settings, found[1]) == (ACCOUNT, "inv_1")
    assert f'href="{found[0]}"' in part(message, "html")
    states = world.query("select channel, state, reason from billing.notice_deliveries order by id")
    assert [tuple(row.values()) for row in states] == [
        ("mail", "sent", None),
        ("mail", "skipped", "nobody is told any more"),
    ]


def test_a_changed_address_is_told_to_the_old_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[EmailMessage] = []
    monkeypatch.setattr(mail, "deliver", lambda _settings, message: sent.append(message))
    old = world.ledger.get_account(ACCOUNT)["email"]
    world.ledger.edit_account(ACCOUNT, None, "new@example.com", "tests")
    delivery.send_notice(with_smtp(world), planned(world, "account.email_changed"))
    assert [message["To"] for message in sent] == [old]
    assert "new@example.com" not in part(sent[0])
    assert world.query("select payload from billing.outbox") == [{"payload": {}}]
