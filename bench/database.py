"""Databases for benchmarks: accounts to spend from, references beside them, pgbench."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from bench.harness import BenchError
from local.embedded.postgres import program
from shared import migrate

REFERENCE = Path(__file__).with_name("reference")
TEMPLATE = "bench_template"
MODELS = ("small", "medium", "large")
TOKEN_PRICES = {"input_tokens": 3_000_000, "cached_tokens": 300_000, "output_tokens": 15_000_000}
CREDITS = 10**15
"""What every account begins with, in micro-credits: more than any run spends."""


@contextmanager
def database(server_url: str, name: str) -> Iterator[str]:
    """A migrated database of its own on the server, dropped afterwards."""
    if not execute(server_url, f"select 1 from pg_database where datname = '{TEMPLATE}'"):
        execute(server_url, f"create database {TEMPLATE}")
        migrate.apply(_url(server_url, TEMPLATE), report=lambda _line: None)
    execute(server_url, f"create database {name} template {TEMPLATE}")
    try:
        yield _url(server_url, name)
    finally:
        execute(server_url, f"drop database {name} with (force)")


def _url(server_url: str, name: str) -> str:
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Runs SQL by itself; answers the rows of the last statement, if it has any."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def load_reference(url: str, name: str) -> None:
    """Creates a reference's tables and functions."""
    execute(url, (REFERENCE / f"{name}.sql").read_text())


def open_accounts(url: str, count: int) -> None:
    """Accounts `bench_1` to `bench_<count>`, full of credits, in the product's own tables."""
    execute(
        url,
        f"select billing.open_account('bench_' || i, 'Bench', null, null, {CREDITS}, 'bench')"
        f" from generate_series(1, {count}) i",
    )


def add_cards_and_limits(url: str, accounts: int) -> None:
    """Prices by model and kind of token for the action `llm`, and limits that every account's agent stays within."""
    rates = {name: {"credits": price, "per": 1_000_000} for name, price in TOKEN_PRICES.items()}
    for model in MODELS:
        card = json.dumps({"action": "llm", "model": model, "rates": rates})
        execute(url, f"select billing.set_action_cost('{card}', 'bench')")
    for window in ("day", "month"):
        limit = json.dumps({"scope": "agent", "scope_id": "researcher", "window": window, "credits": CREDITS})
        execute(
            url,
            f"select billing.set_limit('bench_' || i, '{limit}', 'bench') from generate_series(1, {accounts}) i",
        )


def server_version(url: str) -> str:
    """The version of the server."""
    return str(execute(url, "show server_version")[0][0])


def pgbench(
    url: str, script: Path, schema: str, clients: int, seconds: float, variables: Mapping[str, int]
) -> float:
    """Transactions a second of a script, each statement prepared once a connection."""
    command = [str(program("pgbench")), "--no-vacuum", "--protocol=prepared", f"--file={script}"]
    command += [f"--client={clients}", "--jobs=1", f"--time={max(1, round(seconds))}"]
    command += [f"--define={name}={value}" for name, value in variables.items()]
    environment = os.environ | {"PGOPTIONS": f"-c search_path={schema}"}
    done = subprocess.run([*command, url], env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode or not found or "number of failed transactions: 0 " not in done.stdout:
        raise BenchError(f"pgbench {script.name} failed:\n{done.stdout}{done.stderr}")
    return float(found[1])
