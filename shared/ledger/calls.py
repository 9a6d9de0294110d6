"""What the groups of wrappers have in common."""

from __future__ import annotations

from typing import Any

from shared.db import Database

Page = dict[str, Any]
"""`{"data": [...], "next_cursor": str | None}`."""


class Calls:
    """SQL functions over one database seam."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def _call(self, function: str, **params: object) -> Any:
        return self.database.call(function, **params)
