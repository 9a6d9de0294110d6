"""Books per test: see tests/sql/books.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.db import PostgresDatabase
from tests.sql.books import Books
from tests.support import Database


@pytest.fixture
def books(database: Database) -> Iterator[Books]:
    """Empty books over psycopg."""
    made = Books(database, PostgresDatabase(database.dsn, pool_size=16))
    yield made
    made.close()
