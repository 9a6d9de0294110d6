"""Which role a signed-in person has in an account, with a short memory like that of API keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from shared.errors import Refused
from shared.member_models import Membership, Role

CACHE_SECONDS = 5.0
CACHE_ENTRIES_MAX = 10_000
ROLES: tuple[Role, ...] = ("member", "admin", "owner")
"""From the fewest rights to the most: each may what those before it may."""

Lookup = Callable[[str, str | None], Membership | None]


class Memberships:
    """Finds roles. A role that was taken away works for at most CACHE_SECONDS longer."""

    def __init__(self, lookup: Lookup, clock: Callable[[], float] = time.monotonic) -> None:
        self._lookup = lookup
        self._clock = clock
        # Apart, so that asking for accounts at random does not push known members out.
        self._known: dict[tuple[str, str | None], tuple[float, Membership]] = {}
        self._unknown: dict[tuple[str, str | None], float] = {}
        self._lock = threading.Lock()

    def resolve(self, user_id: str, account_id: str | None, needed: Role) -> tuple[str, Role]:
        """The account that the person means, and the person's role there.

        Refused: unknown_account (404) for accounts of others, account_required (422) when there are several,
        role_missing (403) when the role is not enough.
        """
        found = self._find((user_id, account_id))
        if found is not None and found["several"]:
            raise Refused(
                "You are a member of several accounts: name one in account_id.", code="account_required"
            )
        if found is None or found["account_id"] is None or found["role"] is None:
            raise Refused("There is no such account.", code="unknown_account", status=404)
        if not allows(found["role"], needed):
            raise role_missing(needed)
        return found["account_id"], found["role"]

    def _find(self, who: tuple[str, str | None]) -> Membership | None:
        now = self._clock()
        known = self._known.get(who)
        if known is not None and now < known[0]:
            return known[1]
        if now < self._unknown.get(who, 0.0):
            return None
        found = self._lookup(*who)
        with self._lock:
            for memory in (self._known, self._unknown):
                if len(memory) >= CACHE_ENTRIES_MAX:
                    memory.clear()
            if found is None:
                self._known.pop(who, None)
                self._unknown[who] = now + CACHE_SECONDS
            else:
                self._known[who] = (now + CACHE_SECONDS, found)
        return found


def allows(role: Role, needed: Role) -> bool:
    """Whether whoever has the role may do what needs the other one."""
    return ROLES.index(role) >= ROLES.index(needed)


def role_missing(needed: Role) -> Refused:
    """The refusal of a member whose role is not enough."""
    return Refused(
        f"This needs the role {needed} in the account.", code="role_missing", status=403, role=needed
    )
