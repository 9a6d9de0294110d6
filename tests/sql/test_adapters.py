"""The ledger over both database adapters: psycopg, and supabase-py through a real PostgREST. Same values, same errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local.embedded import PostgREST, SupabaseGateway
from shared.db import PostgresDatabase, SupabaseDatabase
from shared.db_errors import is_missing
from shared.errors import DatabaseUnavailable, Refused
from shared.ledger import Ledger, needed_functions
from tests.sql.books import CREDIT, Books
from tests.support import Cluster, Database

PROBE = """
create function billing.probe(p_sqlstate text) returns jsonb language plpgsql set search_path = '' as $$
begin
  raise exception using errcode = p_sqlstate, message = 'a sentence';
end $$;
grant execute on function billing.probe to service_role;
"""

pytestmark = pytest.mark.xdist_group("adapters")


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[Database]:
    """One database for all of these tests; each opens an account of its own."""
    with cluster.database() as database:
        with database.connect() as connection:
            connection.execute(PROBE.encode())
        yield database


@pytest.fixture(scope="module")
def gateway(world: Database, npm_cache: Path) -> Iterator[SupabaseGateway]:
    with PostgREST(world.dsn, cache=npm_cache) as server, SupabaseGateway(server) as gateway:
        yield gateway


@pytest.fixture(params=["postgres", "supabase"])
def over(request: pytest.FixtureRequest, world: Database) -> Iterator[Books]:
    """The same ledger over either adapter."""
    with ExitStack() as stack:
        if request.param == "postgres":
            books = Books(world, PostgresDatabase(world.dsn, pool_size=8))
        else:
            gateway: SupabaseGateway = request.getfixturevalue("gateway")
            books = Books(world, SupabaseDatabase(gateway.url, gateway.secret_key))
        stack.callback(books.close)
        yield books


@pytest.fixture
def who(over: Books, request: pytest.FixtureRequest) -> str:
    """An account with 100 credits."""
    name = f"acct.{abs(hash(request.node.nodeid))}"
    return over.open(name, 100)


def test_accounts_and_balances_come_as_the_same_values(over: Books, who: str) -> None:
    account = over.ledger.get_account(who)
    assert (account["account_id"], account["created"]) == (who, False)
    assert isinstance(account["created_at"], str)
    over.spend(1, account=who)
    seen = over.ledger.get_balance(who)
    assert (seen["available"], seen["held"], seen["debt"]) == (99 * CREDIT, 0, 0)
    assert isinstance(seen["available"], int)
    assert isinstance(seen["runway_days"], (int, float))
    assert seen["low"] is False
    assert seen["lots"][0]["expires_at"] is None


def test_answers_of_every_json_type_come_through(over: Books, who: str) -> None:
    assert over.ledger.get_payment("nobody") is None
    assert over.ledger.find_api_key(bytes(32)) is None
    assert over.ledger.claim_stripe_event("nobody") is None
    assert over.ledger.claim_slot(f"job {who}", 86_400) is True
    assert over.ledger.claim_slot(f"job {who}", 86_400) is False
    assert over.ledger.expire_lots(10) == 0
    assert over.ledger.link_customer(who, f"cus_{who}") == f"cus_{who}"
    assert over.ledger.open_checkouts(who) == []
    assert len(over.ledger.list_packages()) == 3
    over.database.connect().close()
    over.ledger.finish_request("nobody", "k", 1, {})
    key = over.ledger.create_api_key(
        f"k{who}", "n", f"rk{who}", who.encode()[:32].ljust(32), ["read", "spend"], who
    )
    assert key["scopes"] == ["read", "spend"]


def test_a_spend_its_replay_and_its_conflict(over: Books, who: str) -> None:
    first = over.ledger.spend_credits(
        who, {"id": "e1", "action": "research", "quantity": 2, "metadata": {"ü": ["☃", None]}}
    )
    assert (first["credits"], first["available"], first["replayed"]) == (10 * CREDIT, 90 * CREDIT, False)
    again = over.ledger.spend_credits(
        who, {"id": "e1", "metadata": {"ü": ["☃", None]}, "action": "research", "quantity": 2}
    )
    assert (again["transaction_id"], again["replayed"]) == (first["transaction_id"], True)
    with over.refused("idempotency_conflict"):
        over.ledger.spend_credits(who, {"id": "e1", "action": "research", "quantity": 3})
    usage = over.ledger.list_usage(who, 5, None)["data"]
    assert [row["metadata"] for row in usage] == [{"ü": ["☃", None]}]


def test_too_few_credits_say_the_same_facts(over: Books, who: str) -> None:
    with over.refused("insufficient_credits") as refusal:
        over.spend(101, account=who)
    assert refusal.value.status == 402
    assert refusal.value.extra == {
        "binding": "balance",
        "needed": 101 * CREDIT,
        "available": 100 * CREDIT,
        "topup": "off",
    }
    assert refusal.value.detail.startswith("Not enough credits")


REFUSALS: list[tuple[str, str, dict[str, Any]]] = [
    ("unknown_account", "get_account", {"account_id": "nobody"}),
    ("unknown_action", "spend_credits", {"event": {"id": "e", "action": "none"}}),
    ("invalid_value", "spend_credits", {"event": {"id": "e", "amount": 0}}),
    ("invalid_value", "spend_credits", {"event": {"id": "e", "amount": 2**64}}),
    ("invalid_value", "spend_credits", {"event": {"id": "e", "amount": 1, "metadata": {"a": "\0"}}}),
    ("invalid_value", "open_account", {"account_id": "nul", "name": "a\0b", "email": None, "owner_id": None,
                                       "signup_credits": 0, "actor": "t"}),
    ("invalid_value", "open_account", {"account_id": "half", "name": "a\ud800b", "email": None, "owner_id": None,
                                       "signup_credits": 0, "actor": "t"}),
    ("invalid_value", "open_account", {"account_id": "uuid", "name": "n", "email": None, "owner_id": "no uuid",
                                       "signup_credits": 0, "actor": "t"}),
    ("unknown_package", "open_purchase", {"payment_id": "p", "package_id": "none", "quantity": 1, "customer_id": "c"}),
    ("consent_required", "set_auto_topup", {"settings": {"enabled": True}, "actor": "t"}),
    ("invalid_auto_topup", "set_auto_topup", {"settings": {"enabled": True, "text_version": "v"}, "actor": "t"}),
    ("not_found", "begin_topup_charge", {"topup_id": "none"}),
    ("state_conflict", "resume_auto_topup", {"actor": "t"}),
]  # fmt: skip


@pytest.mark.parametrize(("code", "function", "arguments"), REFUSALS)
def test_refusals_arrive_as_the_same_errors(
    over: Books, who: str, code: str, function: str, arguments: dict[str, Any]
) -> None:
    if function in ("spend_credits", "open_purchase", "set_auto_topup", "resume_auto_topup"):
        arguments = {"account_id": who} | arguments
    with over.refused(code):
        getattr(over.ledger, function)(**arguments)


def test_an_account_that_is_paused_is_refused(over: Books, who: str) -> None:
    over.query(
        "update billing.credit_balances set status = 'paused', grace_until = now() where account_id = %s", who
    )
    with over.refused("account_paused"):
        over.spend(1, account=who)


def test_usage_is_booked_once(over: Books, who: str) -> None:
    batch = [{"id": f"e{number}", "amount": CREDIT} for number in range(50)]
    first = over.ledger.record_usage([*batch, batch[0], {"id": "bad"}], who)
    assert (first["accepted"], first["duplicates"]) == (50, 1)
    assert first["rejected"] == [{"index": 51, "id": "bad", "code": "unknown_action", "parked": True}]
    assert first["accounts"] == [{"account_id": who, "available": 50 * CREDIT, "status": "active"}]
    assert over.ledger.record_usage(batch, who)["duplicates"] == 50


def test_calls_at_once_have_one_effect(over: Books, who: str) -> None:
    answers = over.together(8, lambda _: over.spend(30, account=who, event_id="once")["transaction_id"])
    assert len(set(map(str, answers))) == 1
    assert over.balance(who) == 70


def test_a_purchase_is_settled_once(over: Books, who: str) -> None:
    over.ledger.link_customer(who, f"cus_{who}")
    payment = over.ledger.open_purchase(f"pay_{who}", who, "credits_100", 1, f"cus_{who}")["id"]
    outcomes = [over.settle(payment)["outcome"] for _ in range(2)]
    assert outcomes == ["granted", "already"]
    assert over.settle(payment, amount_received=1)["reason"] == "amount_mismatch"
    assert over.balance(who) == 200


def test_a_charge_from_the_threshold_to_the_grant(over: Books, who: str) -> None:
    over.enable(who)
    assert over.spend(90, account=who)["topup_due"]
    topup = over.ledger.open_topup(who, f"t_{who}", f"p_{who}")["topup_id"]
    assert topup is not None
    claimed = over.ledger.claim_topup(topup)
    assert claimed is not None
    assert (claimed["amount"], claimed["credits"], claimed["confirming"]) == (500, 100 * CREDIT, False)
    over.ledger.attach_topup_intent(topup, f"pi_{topup}")
    assert over.ledger.begin_topup_charge(topup) == {"go": True, "reason": None}
    assert over.ledger.finish_topup(topup, "unknown", {"reason": "timeout"})["state"] == "unknown"
    assert over.settle(f"p_{who}")["outcome"] == "granted"
    assert over.balance(who) == 110
    over.assert_sound()


def test_a_decline_and_what_follows_from_it(over: Books, who: str) -> None:
    over.enable(who)
    over.use(95, account=who)
    over.ledger.open_topup(who, f"t_{who}", f"p_{who}")
    assert over.ledger.begin_topup_charge(f"t_{who}")["go"]
    over.decline(f"t_{who}", "stolen_card")
    seen = over.ledger.get_auto_topup(who)
    assert (seen["paused_reason"], seen["declines"], seen["open_topup"]) == ("card_declined", 1, None)
    assert over.ledger.open_topup(who, f"t2_{who}", f"p2_{who}")["reason"] == "card_declined"
    assert over.ledger.resume_auto_topup(who, "owner")["topup_due"]


def test_an_event_keeps_its_bytes(over: Books, who: str) -> None:
    body = bytes(range(256))
    over.ledger.record_stripe_event(f"evt_{who}", "x", None, False, None, body, 1_700_000_000, None)
    claimed = over.ledger.claim_stripe_event(f"evt_{who}")
    assert claimed is not None
    assert bytes.fromhex(claimed["payload"]) == body


def test_a_key_that_is_none_never_reads_as_a_refusal_of_the_ledger(gateway: SupabaseGateway) -> None:
    with pytest.raises(Exception, match=r"away|42501|permission") as caught:
        SupabaseDatabase(gateway.url, gateway.publishable_key).call("get_account", p_account_id="a")
    assert not isinstance(caught.value, Refused)


@pytest.mark.parametrize(
    "sqlstate",
    [
        "25006",
        "42501",
        "58030",
        "XX000",
        "XX001",
        "26000",
        "0A000",
        "40000",
        "40003",
        "72000",
        "23505",
        "RF999",
    ],
)
def test_what_the_database_fails_with_is_unavailable_over_both(over: Books, sqlstate: str) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        over.ledger._call("probe", p_sqlstate=sqlstate)
    assert (caught.value.code, caught.value.sqlstate) == ("database_unavailable", sqlstate)


def test_a_missing_function_is_unavailable_and_known_as_missing(over: Books) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        over.ledger._call("probe_of_another_version", p_a=1)
    assert is_missing(caught.value)
    assert over.ledger.missing_functions(["spend_credits", "probe_of_another_version"]) == [
        "probe_of_another_version"
    ]
    assert over.ledger.missing_functions(needed_functions()) == []


def test_a_read_only_database_is_seen(cluster: Cluster) -> None:
    """A database of its own: every session that begins after the change is read-only. Not so over PostgREST, which begins
    each transaction as read-write and so really may write; on a standby that fails with 0A000.
    """
    with cluster.database() as database:
        with database.connect() as connection:
            connection.execute(
                f'alter database "{database.name}" set default_transaction_read_only = on'.encode()
            )
        for more in ("", "?target_session_attrs=any"):
            seam = PostgresDatabase(database.dsn + more)
            with pytest.raises(DatabaseUnavailable) as caught:
                seam.ping()
            assert caught.value.sqlstate == "25006"
            with pytest.raises(DatabaseUnavailable):
                Ledger(seam).open_account("a", "A", None, None, 0, "test")
            seam.close()


def test_a_database_that_takes_changes_answers_a_ping_over_both(over: Books) -> None:
    over.ledger.database.ping()
    assert over.ledger.is_read_only() is False
