"""Spends in SQL by pgbench: ours, the requirement text's bare function, and a leaner one still."""

from __future__ import annotations

from functools import partial

from bench import database
from bench.database import REFERENCE
from bench.harness import Recorder, Side

ACCOUNTS = 1_000
SIDES = ("ours", "plain", "lean")


def run(server_url: str, recorder: Recorder) -> None:
    """1 and 8 connections over many accounts, then 8 on one account."""
    accounts = 20 if recorder.small else ACCOUNTS
    with database.database(server_url, "bench_spend") as url:
        prepare(url, accounts)
        for clients in (1, 8):
            _measure(recorder, url, f"spend_sql.connections_{clients}", clients, accounts)
        for against in ("plain", "lean"):
            name = f"ratio_vs_{against}"
            recorder.keep_worst(f"spend_sql.{name}", [f"spend_sql.connections_{n}.{name}" for n in (1, 8)])
        _measure(recorder, url, "spend_sql_hot", 8, 1)


def prepare(url: str, accounts: int) -> None:
    """Fills our tables and the references' with the same number of accounts."""
    database.open_accounts(url, accounts)
    database.execute(url, "create sequence bench_events")
    for name in ("plain", "lean"):
        database.load_reference(url, name)
        database.execute(
            url,
            f"insert into reference_{name}.user_profiles (id, tokens)"
            f" select md5(i::text)::uuid, 1000000000 from generate_series(1, {accounts}) i",
        )


def _measure(recorder: Recorder, url: str, group: str, clients: int, accounts: int) -> None:
    def side(name: str) -> Side:
        script = REFERENCE / f"spend_{name}.sql"
        # The requirement text's function names its tables without a schema.
        schema = "public" if name == "ours" else f"reference_{name}"
        return partial(
            database.pgbench, url, script, schema, clients, recorder.seconds, {"accounts": accounts}
        )

    samples = recorder.alternate(group, {name: side(name) for name in SIDES})
    recorder.keep(f"{group}.spends_per_s", samples["ours"])
    for reference in ("plain", "lean"):
        recorder.keep(f"{group}.{reference}_per_s", samples[reference])
        recorder.keep_ratio(f"{group}.ratio_vs_{reference}", samples["ours"], samples[reference])
