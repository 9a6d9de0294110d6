"""Invitations: once, for seven days, by whoever holds the link; withdrawn, expired, limited, forgotten."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from shared.errors import Refused
from tests.sql.books import Books

OWNER, ADA, BOB = (str(uuid.uuid4()) for _ in range(3))
EMAIL = "new@example.com"
AUDIT = "select action from billing.audit_log where action ~ 'invitation|joined' order by id"


@pytest.fixture(autouse=True)
def accounts(books: Books) -> None:
    for account in ("a", "b"):
        books.ledger.open_account(account, account.upper(), f"{account}@example.com", OWNER, 0, "test")


def invite(books: Books, number: str = "inv_1", email: str = EMAIL, **more: Any) -> Any:
    given = {"account_id": "a", "role": "admin", "actor": f"member:{OWNER}"} | more
    return books.ledger.invite_member(number, email=email, **given)


def accept(books: Books, user_id: str = ADA, number: str = "inv_1", account: str = "a") -> Any:
    return books.ledger.accept_invitation(account, number, user_id, "ada@example.com")


def roles(books: Books) -> dict[str, tuple[str, str | None]]:
    return {m["user_id"]: (m["role"], m["email"]) for m in books.ledger.list_members("a")}


def state(books: Books, number: str = "inv_1") -> tuple[str, str | None]:
    found = books.ledger.find_invitation("a", number)
    assert found is not None
    return found["state"], found["email"]


def claimed(books: Books) -> Any:
    """The invitation's mail, as a worker takes it up."""
    books.ledger.plan_notices(10, [], [])
    number = books.value(
        "select d.id from billing.notice_deliveries d join billing.outbox o on o.id = d.notice_id"
        " where o.topic = 'member.invited' and d.channel = 'mail'"
    )
    return books.ledger.claim_notice(number, ["mail"])


def test_whoever_accepts_is_a_member_once_and_the_address_is_dropped(books: Books) -> None:
    made = invite(books)
    assert (made["account_name"], made["email"], made["role"], made["state"]) == ("A", EMAIL, "admin", "open")
    assert [row["id"] for row in books.ledger.list_invitations("a")] == ["inv_1"]
    assert books.ledger.list_invitations("b") == []
    assert accept(books)["state"] == "accepted"
    assert roles(books)[ADA] == ("admin", "ada@example.com")
    assert state(books) == ("accepted", None)
    with books.nothing_moves():
        accept(books)  # its answer was lost
        with books.refused("state_conflict"):
            accept(books, BOB)
    books.ledger.remove_member("a", ADA, "test")
    with books.refused("state_conflict"):
        accept(books)
    assert [row["action"] for row in books.query(AUDIT)] == ["invitation.sent", "member.joined"]
    assert books.value("select count(*) from billing.audit_log where details::text ~ '@'") == 0


def test_a_repeat_is_one_invitation_and_one_mail(books: Books) -> None:
    first = invite(books)
    with books.nothing_moves():
        assert invite(books) == first
    assert books.notices("member.invited") == 1


def test_it_is_mailed_to_the_address_and_not_to_the_account_and_only_while_it_is_open(books: Books) -> None:
    invite(books)
    assert books.value("select payload::text ~ '@' from billing.outbox") is False
    assert claimed(books)["email"] == EMAIL
    books.query("update billing.notice_deliveries set next_attempt_at = now()")
    books.ledger.withdraw_invitation("a", "inv_1", "test")
    assert claimed(books)["email"] is None


def test_one_of_twenty_who_accept_at_once_is_a_member(books: Books) -> None:
    invite(books)
    answers = books.together(20, lambda number: accept(books, str(uuid.UUID(int=number))))
    assert sum(not isinstance(answer, Exception) for answer in answers) == 1
    assert all(answer.code == "state_conflict" for answer in answers if isinstance(answer, Refused))
    assert len(roles(books)) == 2


def test_a_member_who_opens_it_keeps_the_role_and_uses_nothing_up(books: Books) -> None:
    invite(books, role="member")
    with books.nothing_moves(), books.refused("state_conflict"):
        accept(books, OWNER)
    assert accept(books)["state"] == "accepted"


@pytest.mark.parametrize("way", ["withdrawn", "expired", "other account", "unknown", "erased"])
def test_a_link_that_is_worth_nothing(books: Books, way: str) -> None:
    invite(books)
    if way == "withdrawn":
        books.ledger.withdraw_invitation("a", "inv_1", "test")
        assert state(books) == ("withdrawn", None)
    elif way == "expired":
        books.query("update billing.invitations set expires_at = now()")
        assert state(books)[0] == "expired"
    elif way == "erased":
        books.ledger.erase_account("a", "test")
        assert books.value("select count(*) from billing.invitations") == 0
    code = "state_conflict" if way in ("withdrawn", "expired") else "not_found"
    with books.nothing_moves(), books.refused(code):
        accept(
            books,
            account="b" if way == "other account" else "a",
            number="inv_0" if way == "unknown" else "inv_1",
        )


def test_withdrawing(books: Books) -> None:
    invite(books)
    with books.refused("not_found"):
        books.ledger.withdraw_invitation("b", "inv_1", "test")
    for _ in range(2):
        assert books.ledger.withdraw_invitation("a", "inv_1", "test")["state"] == "withdrawn"
    assert books.ledger.list_invitations("a") == []
    invite(books, "inv_2")
    accept(books, number="inv_2")
    with books.refused("state_conflict"):
        books.ledger.withdraw_invitation("a", "inv_2", "test")


@pytest.mark.parametrize("way", ["remove", "demote"])
def test_invitations_of_whoever_is_no_owner_any_more_are_withdrawn(books: Books, way: str) -> None:
    books.ledger.set_member("a", BOB, "owner", "test")
    invite(books, actor=f"member:{BOB}")
    invite(books, "inv_2", "other@example.com")
    if way == "remove":
        books.ledger.remove_member("a", BOB, "test")
    else:
        books.ledger.set_member("a", BOB, "member", "test")
    assert state(books) == ("withdrawn", None)
    assert state(books, "inv_2") == ("open", "other@example.com")


def test_an_address_is_invited_once_at_a_time_and_no_member_is(books: Books) -> None:
    invite(books)
    with books.nothing_moves(), books.refused("state_conflict") as refused:
        invite(books, "inv_2", EMAIL.upper())
    assert "is open already" in refused.value.detail
    invite(books, "inv_b", account_id="b")
    accept(books)
    with books.refused("state_conflict") as refused:
        invite(books, "inv_2", "Ada@Example.com")
    assert "member of this account already" in refused.value.detail
    invite(books, "inv_3")


def test_fifty_are_open_at_most_and_a_hundred_a_day(books: Books) -> None:
    for number in range(50):
        invite(books, f"inv_{number}", f"n{number}@example.com")
    with books.refused("state_conflict") as refused:
        invite(books, "inv_50")
    assert "Fifty" in refused.value.detail
    books.query("update billing.invitations set state = 'withdrawn', email = null")
    for number in range(50, 100):
        invite(books, f"inv_{number}", f"n{number}@example.com")
    books.query("update billing.invitations set state = 'withdrawn', email = null")
    with books.refused("state_conflict") as refused:
        invite(books, "inv_100")
    assert "within a day" in refused.value.detail
    books.query("update billing.invitations set created_at = created_at - interval '1 day'")
    invite(books, "inv_100")


def test_what_is_no_invitation_is_refused(books: Books) -> None:
    with books.refused("invalid_value"):
        invite(books, role="king")
    with books.refused("invalid_value"):
        invite(books, email="x")
    with books.refused("unknown_account"):
        invite(books, account_id="c")


def test_they_are_forgotten_a_week_after_they_expired(books: Books) -> None:
    for number in range(3):
        invite(books, f"inv_{number}", f"n{number}@example.com")
    accept(books, number="inv_0")
    books.query("update billing.invitations set expires_at = now() - interval '6 days 23 hours'")
    assert books.ledger.prune_invitations(10) == 0
    books.query("update billing.invitations set expires_at = now() - interval '7 days 1 hour'")
    assert [books.ledger.prune_invitations(2) for _ in range(3)] == [2, 1, 0]
