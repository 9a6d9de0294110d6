"""What the tests of the ledger act on: a real database, a helper to look at every row, and a way to let time pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from psycopg.rows import dict_row

from local.clock import age
from shared.db import Database as Seam
from shared.errors import Refused
from shared.ledger import Ledger
from shared.models import Hold, Limit
from tests.support import Database, wait_until

T = TypeVar("T")
CREDIT = 1_000_000


class Books:
    """An account "a" with credits as asked for, and shorthands. Amounts are whole credits unless a name says micro."""

    def __init__(self, database: Database, seam: Seam) -> None:
        self.database = database
        self.ledger = Ledger(seam)
        self.connection = database.connect()
        self._ids = itertools.count(1)
        self._threads = ThreadPoolExecutor(4)

    def close(self) -> None:
        self._threads.shutdown()
        self.connection.close()
        self.ledger.database.close()

    # Looking

    def query(self, statement: str, *values: object) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def value(self, statement: str, *values: object) -> Any:
        row = self.connection.execute(statement.encode(), values).fetchone()
        return row[0] if row else None

    def balance(self, account: str = "a") -> float:
        row = self.value("select balance from billing.credit_balances where account_id = %s", account)
        return float(row) / CREDIT

    def lots(self, account: str = "a") -> dict[str, float]:
        """What is left of each lot, by the name it was granted under."""
        rows = self.query(
            "select source, remaining from billing.credit_lots where account_id = %s order by id", account
        )
        return {row["source"].partition(":")[2]: row["remaining"] / CREDIT for row in rows}

    def settings(self, account: str = "a") -> dict[str, Any]:
        return self.query("select * from billing.auto_topup_settings where account_id = %s", account)[0]

    def topup(self, topup_id: str) -> dict[str, Any]:
        return self.query(
            "select t.*, p.amount, p.credits, p.status from billing.topups t"
            " join billing.payments p on p.id = t.payment_id where t.id = %s",
            topup_id,
        )[0]

    def notices(self, topic: str) -> int:
        return int(self.value("select count(*) from billing.outbox where topic = %s", topic))

    def everything(self) -> dict[str, tuple[int, str | None]]:
        """Number and digest of the rows of every table."""
        names = self.query(
            "select c.relname as name from pg_class c where c.relnamespace = 'billing'::regnamespace"
            " and c.relkind in ('r', 'p') and not c.relispartition order by 1"
        )
        one = "select '{0}', count(*), md5(string_agg(t::text, '' order by t::text)) from billing.{0} t"
        rows = self.connection.execute(
            " union all ".join(one.format(row["name"]) for row in names).encode()
        ).fetchall()
        return {name: (count, digest) for name, count, digest in rows}

    @contextmanager
    def nothing_moves(self) -> Iterator[None]:
        """Every table is the same afterwards."""
        before = self.everything()
        yield
        after = self.everything()
        changed = [name for name in before if before[name] != after[name]]
        assert not changed, f"changed: {changed}"

    @contextmanager
    def refused(self, code: str) -> Iterator[pytest.ExceptionInfo[Refused]]:
        """The call is refused with this code, and nothing has moved."""
        with self.nothing_moves(), pytest.raises(Refused) as caught:
            yield caught
        assert caught.value.code == code

    def assert_sound(self) -> None:
        violations = self.ledger.check_invariants()
        assert not violations, violations

    # Acting

    def fresh(self, prefix: str) -> str:
        return f"{prefix}_{next(self._ids)}"

    def open(self, account: str = "a", credits: float = 0) -> str:
        self.ledger.open_account(account, "An account", "a@example.com", None, int(credits * CREDIT), "test")
        return account

    def grant(
        self,
        name: str,
        credits: float,
        *,
        account: str = "a",
        paid: int = 0,
        priority: int = 100,
        expires_in: str = "infinity",
    ) -> None:
        """A lot with an expiry and a priority, as only functions inside the schema may ask for."""
        self.connection.execute(
            "select billing._post_grant(%s, 'promotion', 'promotions', %s, 'test', %s, %s, %s, %s::smallint,"
            " case when %s = 'infinity' then 'infinity' else now() + nullif(%s, 'infinity')::interval end)",
            [
                account,
                int(credits * CREDIT),
                name,
                paid,
                "usd" if paid else None,
                priority,
                expires_in,
                expires_in,
            ],
        )

    def spend(self, credits: float, *, account: str = "a", event_id: str | None = None) -> dict[str, Any]:
        event = {"id": event_id or self.fresh("spend"), "amount": int(credits * CREDIT)}
        return dict(self.ledger.spend_credits(account, event))

    def use(self, credits: float, *, account: str = "a") -> dict[str, Any]:
        """Usage that already happened: may go below zero."""
        event = {"id": self.fresh("usage"), "amount": int(credits * CREDIT)}
        return dict(self.ledger.record_usage([event], account))

    # Holds

    def place(self, credits: float, hold_id: str | None = None, *, account: str = "a", **more: Any) -> Hold:
        """A hold of that many credits."""
        hold = {"id": hold_id or self.fresh("hold"), "amount": round(credits * CREDIT)} | more
        return self.ledger.place_hold(account, hold)

    def finish(self, hold_id: str, credits: float | None = None, *, account: str = "a", **more: Any) -> Hold:
        """Its settlement by an amount, or by what more says."""
        amount = {} if credits is None else {"amount": round(credits * CREDIT)}
        return self.ledger.settle_hold(account, hold_id, amount | more)

    def draw(self, hold_id: str, draw_id: str, credits: float, **more: Any) -> Hold:
        """A settlement that leaves the hold open."""
        return self.finish(hold_id, credits, final=False, id=draw_id, **more)

    def hold(self, hold_id: str, account: str = "a") -> Hold:
        return self.ledger.get_hold(account, hold_id)

    def held(self, account: str = "a") -> float:
        """What the account holds, by its own row."""
        return (
            float(self.value("select held from billing.credit_balances where account_id = %s", account))
            / CREDIT
        )

    def overdue(self, hold_id: str) -> None:
        """The time of the hold and of all below it is up."""
        self.query(
            "update billing.credit_holds set expires_at = now() - interval '1 second' where id = %s", hold_id
        )

    def limit(
        self, credits: float | None, window: str = "day", *, agent: str = "scout", hard: bool = True
    ) -> Limit:
        """A limit of an agent of account "a"; None removes it."""
        amount = None if credits is None else round(credits * CREDIT)
        limit = {"scope": "agent", "scope_id": agent, "window": window, "credits": amount, "hard": hard}
        return self.ledger.set_limit("a", limit, "admin")

    def price(self, action: str, **card: Any) -> dict[str, Any]:
        """A card of the action, looked at by its author."""
        return self.ledger.set_action_cost({"action": action, "confirm": True} | card, "operator")

    def age(self, interval: str) -> None:
        """Lets time pass: every time in the books becomes older by the interval."""
        age(self.connection, interval)

    def start(self, call: Callable[[], T]) -> Future[T]:
        """The call, running in another thread."""
        return self._threads.submit(call)

    def await_blocked(self) -> None:
        """Until a connection of this database waits for a lock."""
        waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        wait_until(lambda: self.value(waiting), message="a call that waits for a lock")

    def together(self, count: int, call: Callable[[int], T]) -> list[T | Exception]:
        """The answers, or the errors, of that many calls made at once."""
        return together(count, call)

    def pause_by_dispute(self) -> None:
        """A dispute of account "a" is open, of a payment of another time."""
        self.query(
            "insert into billing.payments (id, account_id, purpose, credits, amount, currency, status)"
            " values ('old', 'a', 'purchase', 1, 1, 'usd', 'canceled');"
            " insert into billing.payment_reversals"
            " (id, account_id, payment_id, kind, amount, status, is_taken, is_open, occurred_at)"
            " values ('dp', 'a', 'old', 'dispute', 1, 'needs_response', false, true, now());"
            " select billing._derive_status('a')"
        )

    # Auto top-up, as the charging worker drives it

    def enable(self, account: str = "a", **changes: Any) -> dict[str, Any]:
        """At 10 credits, by 100 for 5 dollars, with a card of a customer of its own."""
        if self.ledger.get_customer(account) is None:
            self.ledger.link_customer(account, f"cus_{account}")
            self.ledger.set_default_payment_method(account, "pm_1", {"brand": "visa"}, "test")
        return self.enable_raw(account, **changes)

    def enable_raw(self, account: str = "a", **changes: Any) -> dict[str, Any]:
        """The same without a card."""
        wanted = {"enabled": True, "threshold": 10 * CREDIT, "credits": 100 * CREDIT, "text_version": "v1"}
        return self.ledger.set_auto_topup(account, wanted | changes, "owner")

    def ask(self, account: str = "a", *, demand: bool = True) -> dict[str, Any]:
        """Asks the governor for a charge, after a spend that was refused for want of credits unless `demand` is False."""
        name = self.fresh("topup")
        if demand:
            self.ledger.demand_topup(account, name)
        return dict(self.ledger.open_topup(account, name, f"pay_{name}"))

    def charge(self, account: str = "a") -> str:
        """A charge whose confirmation has left for Stripe."""
        asked = self.ask(account)
        assert asked["topup_id"], asked
        topup_id = str(asked["topup_id"])
        self.ledger.attach_topup_intent(topup_id, f"pi_{topup_id}")
        assert self.ledger.begin_topup_charge(topup_id)["go"]
        return topup_id

    def decline(self, topup_id: str, code: str = "insufficient_funds", **facts: Any) -> dict[str, Any]:
        return self.ledger.finish_topup(topup_id, "declined", {"decline_code": code} | facts)

    def facts(self, payment_id: str, **changes: Any) -> dict[str, Any]:
        """What Stripe would say of a payment that succeeded as asked for."""
        payment = self.ledger.get_payment(payment_id)
        assert payment is not None
        intent = payment["stripe_payment_intent_id"] or f"pi_{payment_id}"
        return {
            "payment_intent": intent,
            "customer": payment["stripe_customer_id"],
            "amount_received": payment["amount"],
            "currency": payment["currency"],
            "charge": f"ch_{intent}",
        } | changes

    def settle(self, payment_id: str, **changes: Any) -> dict[str, Any]:
        return dict(self.ledger.settle_payment(payment_id, self.facts(payment_id, **changes)))

    def buy(self, account: str = "a", package: str = "credits_100", quantity: int = 1) -> str:
        """An open purchase of 100 credits for 5 dollars."""
        payment = self.ledger.open_purchase(self.fresh("pay"), account, package, quantity, f"cus_{account}")
        return payment["id"]


def together(count: int, call: Callable[[int], T]) -> list[T | Exception]:
    """The answers, or the errors, of that many calls made at once."""

    def guarded(number: int) -> T | Exception:
        try:
            return call(number)
        except Exception as error:  # noqa: BLE001 - the caller looks at it
            return error

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(guarded, range(count)))
