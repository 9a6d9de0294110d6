"""Whether a spend gets slower as the tables grow: 10,000,000 booked events against almost none.

Slow to build, so it only runs when it is named: `python -m bench growth`.
"""

from __future__ import annotations

from functools import partial

from bench import database
from bench.database import REFERENCE
from bench.harness import Recorder
from bench.spend import ACCOUNTS

ROWS = 10_000_000
FILL = """
insert into billing.credit_transactions
  (account_id, kind, counter_account, amount, balance_after, draws, source_kind, source_id)
select 'bench_' || (1 + i % {accounts}), 'usage', 'usage', -1, 0, '{{}}', 'usage', 'old_' || i
  from generate_series(1, {rows}) i;
insert into billing.credit_usage_keys (account_id, event_id, fingerprint, transaction_id, credits)
select 'bench_' || (1 + i % {accounts}), 'old_' || i, md5(i::text)::uuid, i, 1 from generate_series(1, {rows}) i;
insert into billing.credit_usage (account_id, event_id, transaction_id, action, quantity, credits, occurred_at)
select 'bench_' || (1 + i % {accounts}), 'old_' || i, i, 'message', 1, 1, now() from generate_series(1, {rows}) i;
"""


def run(server_url: str, recorder: Recorder) -> None:
    """The same spends in a small and in a large database."""
    accounts, rows = (20, 1_000) if recorder.small else (ACCOUNTS, ROWS)
    with (
        database.database(server_url, "bench_few") as few,
        database.database(server_url, "bench_many") as many,
    ):
        for url in (few, many):
            database.open_accounts(url, accounts)
            database.execute(url, "create sequence bench_events")
        print(f"  growth: booking {rows:,} events", flush=True)
        database.execute(many, FILL.format(accounts=accounts, rows=rows))
        for url in (few, many):
            database.execute(url, "vacuum analyze")
        script = REFERENCE / "spend_ours.sql"
        sides = {
            name: partial(
                database.pgbench, url, script, "public", 8, recorder.seconds, {"accounts": accounts}
            )
            for name, url in (("few", few), ("many", many))
        }
        samples = recorder.alternate("growth (spends a second)", sides)
    # How many times as long a spend takes.
    recorder.keep_ratio("growth.spend_ratio_10m_rows", samples["few"], samples["many"])
