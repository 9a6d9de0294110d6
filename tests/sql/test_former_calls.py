"""Fault 70: while a release is under way, processes of the version before call the functions as they knew them.

former_calls.json lists functions with the parameters that version passed by name. A release replaces the list by its own.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sql.books import Books

CALLS: dict[str, list[str]] = json.loads((Path(__file__).parent / "former_calls.json").read_text())
# Functions that are gone; the version before must survive their refusal.
GONE: set[str] = set()


@pytest.mark.parametrize("name", sorted(CALLS.keys() - GONE))
def test_70_a_call_of_the_version_before_still_finds_its_function(books: Books, name: str) -> None:
    found = books.query(
        "select coalesce(proargnames[1:pronargs], '{}') as names, pronargdefaults as defaults from pg_proc"
        " where pronamespace = 'billing'::regnamespace and proname = %s",
        name,
    )
    fitting = [
        row for row in found
        if set(CALLS[name]) <= set(row["names"])
        # What it does not pass must have a default; defaults stand at the end.
        and set(row["names"]) - set(CALLS[name]) <= set(row["names"][len(row["names"]) - row["defaults"] :])
    ]  # fmt: skip
    assert len(fitting) == 1, found
