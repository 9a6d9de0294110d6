"""What a failed call of the database means: a refusal of the ledger, the caller's fault, or the database's own trouble.

Only what is listed here is the caller's fault (SQLSTATEs of class RF, and INVALID). Everything else is the database's: a
read-only server after a failover, a function that is missing during a release, an I/O error, and whatever nobody has thought
of. So it is DatabaseUnavailable: the API says 503, and what must not be lost is tried again.
Codes: postgresql.org/docs/current/errcodes-appendix.html; PGRST…: docs.postgrest.org, "Errors".
"""

from __future__ import annotations

import json
import logging
from typing import Final

from shared.errors import DatabaseUnavailable, Refused, from_sqlstate
from shared.outages import Outages

log = logging.getLogger(__name__)

# Values that the database refuses by their type, their form, their size or a check of the table.
INVALID: Final = frozenset(
    {
        *(
            "22001",
            "22003",
            "22007",
            "22008",
            "22009",
            "22015",
            "22018",
            "22021",
            "22023",
            "22025",
            "2201B",
            "22032",
        ),
        *("22P02", "22P03", "22P05"),  # of class 22, data exceptions
        *("23502", "23514", "54000", "54001"),  # not null, check, program limits
    }
)
# A proxy before PostgREST that does not take so large a body.
TOO_LARGE: Final = "413"
# Rolled back because of others (class 40, lock_not_available, snapshot_too_old): the same call may be made again.
CONFLICTS: Final = ("40", "55P03", "72000")
# The server is going down or coming up, or has no room; PostgREST lost its connection.
ABSENT: Final = ("08", "53", "57P", "PGRST000", "PGRST001", "PGRST002", "PGRST003")
READ_ONLY: Final = "25006"
# The session is of no more use (transaction state, prepared statements, cached plans). Another one may do.
STALE: Final = ("25", "26000", "42P05", "0A000")
# A function, its schema or the right to call it is missing: a release is under way, or was forgotten.
MISSING: Final = ("42883", "3F000", "42501", "42P01", "42703", "PGRST106", "PGRST202", "PGRST203")
TIMED_OUT: Final = "57014"

AWAY: Final = "the database is away or too busy; try again"
# What passes by itself.
_ORDINARY: Final = (READ_ONLY, TIMED_OUT)


class ConflictError(DatabaseUnavailable):
    """Rolled back by a deadlock or a lock time-out."""


class GoneError(DatabaseUnavailable):
    """The connection failed: the outcome is unknown, and every function may be repeated."""


class StaleError(DatabaseUnavailable):
    """The session cannot do it; a new one may."""


def translate(sqlstate: str | None, message: str, detail: object) -> Refused | DatabaseUnavailable:
    """The Python error for a SQLSTATE or a code of PostgREST; None when there is neither. Ours carry their facts as a json
    DETAIL. A DatabaseUnavailable keeps the code as `sqlstate`.
    """
    if sqlstate is not None:
        refused = from_sqlstate(sqlstate, message, _facts(detail) if sqlstate.startswith("RF") else None)
        if refused is not None:
            return refused
        if sqlstate in INVALID or sqlstate == TOO_LARGE:
            return Refused(message or "the value is too large", code="invalid_value", status=422)
    error = _kind(sqlstate)(_sentence(sqlstate))
    error.sqlstate, error.message = sqlstate, message
    return error


def is_missing(error: DatabaseUnavailable) -> bool:
    """Whether a function, or the right to call it, is missing."""
    return error.sqlstate is not None and error.sqlstate.startswith(MISSING)


def _kind(sqlstate: str | None) -> type[DatabaseUnavailable]:
    if sqlstate is None or sqlstate.startswith(ABSENT):
        return GoneError
    if sqlstate.startswith(CONFLICTS):
        return ConflictError
    return StaleError if sqlstate.startswith(STALE) else DatabaseUnavailable


def _sentence(sqlstate: str | None) -> str:
    """For people; what the database says of itself is not for callers."""
    if sqlstate == TIMED_OUT:
        return "the database took too long; try again"
    if sqlstate == READ_ONLY:
        return "the database takes no changes at the moment; try again"
    return AWAY


def _facts(detail: object) -> dict[str, object] | None:
    if not isinstance(detail, str) or not detail.startswith("{"):
        return None
    facts = json.loads(detail)
    return facts if isinstance(facts, dict) else None


class Reporter:
    """Logs what the database failed with: one line an outage; one for each function if the database is there and fails."""

    def __init__(self) -> None:
        self._outages = Outages()

    def failed(self, function: str, error: DatabaseUnavailable) -> None:
        """Notes a call that ended as unavailable."""
        ordinary = error.sqlstate is None or error.sqlstate.startswith((*ABSENT, *CONFLICTS, *_ORDINARY))
        if self._outages.is_news("away" if ordinary else (function, error.sqlstate)):
            log.log(
                logging.WARNING if ordinary else logging.ERROR,
                "the database failed a call",
                extra={"function": function, "sqlstate": error.sqlstate, "reason": error.message},
            )
