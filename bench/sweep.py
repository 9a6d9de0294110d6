"""What is due, found and opened: 1,000 accounts of 10,000, and of 1,000,000."""

from __future__ import annotations

import itertools
import time

import psycopg

from bench import database
from bench.harness import BenchError, Recorder

DUE = 1_000
SIZES = {"10k": 10_000, "1m": 1_000_000}

# Accounts with everything that opening a top-up reads, far above their threshold. No lots or entries: nothing
# that is measured reads them.
FILL = """
set session_replication_role = replica;
insert into billing.accounts (id, name) select 'acc_' || i, 'Bench' from generate_series(1, {count}) i;
insert into billing.credit_balances (account_id, balance, topup_trigger)
  select 'acc_' || i, 1000000000, 10000000 from generate_series(1, {count}) i;
insert into billing.customers (account_id, stripe_customer_id, default_payment_method)
  select 'acc_' || i, 'cus_' || i, 'pm_' || i from generate_series(1, {count}) i;
insert into billing.auto_topup_settings
  (account_id, enabled, threshold, mode, credits, package_id, currency, cap_day, cap_month, cap_per_hour)
  select 'acc_' || i, true, 10000000, 'fixed', 100000000, 'credits_100', 'usd', 100000, 1000000, 10
    from generate_series(1, {count}) i;
insert into billing.auto_topup_consents (account_id, actor, enabled, text_version, settings, price)
  select s.account_id, 'bench', true, 'bench', to_jsonb(s), billing._agreed_price(s) from billing.auto_topup_settings s;
set session_replication_role = origin;
"""
MAKE_DUE = """
update billing.credit_balances set balance = 0, topup_due_at = now(), topup_cause = 'refused:bench', topup_cause_entry = 0
 where account_id in (select 'acc_' || (%s + i * %s) from generate_series(1, %s) i)
"""
FORGET = """
update billing.topups set state = 'canceled', dead_at = now(), next_attempt_at = 'infinity';
update billing.credit_balances set balance = 1000000000, topup_due_at = null, topup_cause = null
 where topup_due_at is not null;
"""


def run(server_url: str, recorder: Recorder) -> None:
    """due_work and the opening of all that it names, over one connection."""
    sizes = {"10k": 1_000, "1m": 5_000} if recorder.small else SIZES
    due = 100 if recorder.small else DUE
    with (
        database.database(server_url, "bench_sweep_10k") as small,
        database.database(server_url, "bench_sweep_1m") as large,
    ):
        for url, count in zip((small, large), sizes.values(), strict=True):
            print(f"  sweep: making {count:,} accounts", flush=True)
            database.execute(url, FILL.format(count=count))
            database.execute(url, "vacuum analyze")
        rounds = itertools.count()
        samples = recorder.alternate(
            "sweep (ms)",
            {
                "10k": lambda: _sweep(small, sizes["10k"], due, next(rounds)),
                "1m": lambda: _sweep(large, sizes["1m"], due, next(rounds)),
            },
        )
    for name in SIZES:
        recorder.keep(f"sweep.ms_{name}", samples[name])
    recorder.keep_ratio("sweep.ratio_1m_vs_10k", samples["1m"], samples["10k"])


def _sweep(url: str, count: int, due: int, number: int) -> float:
    """Milliseconds for one sweep of accounts spread over the whole table."""
    step = count // due
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(MAKE_DUE, [-(number % step), step, due])
        start = time.perf_counter()
        found = connection.execute("select billing.due_work(1000)").fetchone()
        names = found[0]["accounts"] if found else []
        for place, account in enumerate(names):
            _open(connection, account, f"{number}_{place}")
        milliseconds = 1000 * (time.perf_counter() - start)
        opened = connection.execute("select count(*) from billing.topups where state = 'open'").fetchone()
        if opened != (due,):
            raise BenchError(f"{opened} top-ups were opened instead of {due}")
        for statement in FORGET.split(";\n"):
            connection.execute(statement.encode())
    return milliseconds


def _open(connection: psycopg.Connection[tuple[object, ...]], account: str, name: str) -> None:
    connection.execute(
        "select billing.open_topup(%s, %s, %s)", [account, f"top_{name}", f"pay_{name}"], prepare=True
    )
