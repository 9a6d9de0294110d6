"""What the steps of reconciliation have in common: counts, differences, and that one object never stops a run.

An object that cannot be read, compared or mended becomes a difference `unreadable: …`; the run goes on, and says at its end
that it is incomplete. What is away (the database, Stripe) is no fault of the object: the run waits and does the page again.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeGuard, TypeVar

from shared.errors import DatabaseUnavailable, Refused, StripeUnavailable
from shared.reconciliation_models import Finding, Reconciliation
from shared.stripe_client import StripeBusy, StripeRefused
from shared.stripe_errors import StripeForbidden
from shared.stripe_facts import StripeData
from workers.app import App

log = logging.getLogger(__name__)

T = TypeVar("T")
# At the fourth try of a page an object over which Stripe fails each time is left out.
PATIENCE_CLAIMS: Final = 4
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)
UNREADABLE: Final = "unreadable"
NO_PERMISSION: Final = "STRIPE_SECRET_KEY lacks the permission"


class Postponed(Exception):
    """Stripe failed over one object; the page is done again later. The cause is the error."""


class Repairs:
    """One page's worth: the app, the run, and how many things were mended or noted."""

    def __init__(self, app: App, run: Reconciliation) -> None:
        self.app = app
        self.run = run
        self.counts: Counter[str] = Counter()

    @property
    def deep(self) -> bool:
        """Whether the run takes nothing from former runs for granted."""
        return self.run["depth"] == "all"

    def differs(
        self, subject: str, account_id: str | None, reason: str, details: dict[str, Any] | None = None
    ) -> None:
        """Notes what cannot be mended."""
        self.counts["differences"] += 1
        kind = self.run["step"]
        if self.app.ledger.record_difference(
            self.run["id"], kind, subject, account_id, reason, details or {}
        ):
            log.error(
                "difference with Stripe", extra={"subject": subject, "account": account_id, "reason": reason}
            )

    def not_compared(self, reason: str) -> None:
        """Notes that this step could not look at everything."""
        self.app.ledger.note_not_compared(self.run["id"], self.run["step"], reason)

    def guard(self, subject: str, account_id: str | None, run: Callable[[], T]) -> T | None:
        """Runs what concerns one object, and answers its result; None when the object could not be read."""
        try:
            return run()
        except (DatabaseUnavailable, Postponed):
            raise
        except StripeForbidden:
            self.counts["no_permission"] += 1
            self.not_compared(NO_PERMISSION)
        except (StripeUnavailable, StripeBusy) as error:
            if self.run["claims"] < PATIENCE_CLAIMS:
                raise Postponed from error
            self._unreadable(subject, account_id, error.code)
        except StripeRefused as error:
            self._unreadable(subject, account_id, f"stripe_refused {error.stripe_code}")
        except Refused as error:
            self._unreadable(subject, account_id, error.code)
        except Exception as error:
            log.exception("an object of Stripe's could not be read", extra={"subject": subject})
            self._unreadable(subject, account_id, type(error).__name__)
        return None

    def mend(self, finding: Finding, repair: Callable[[], str | None]) -> None:
        """Runs a repair. It answers None, or the reason why nothing could be mended."""

        def mended() -> None:
            reason = repair()
            if reason is not None:
                self.differs(finding["id"], finding["account_id"], reason)
                return
            self.counts["repaired"] += 1
            log.info("mended", extra={"subject": finding["id"], "account": finding["account_id"]})

        self.guard(finding["id"], finding["account_id"], mended)

    def facts(
        self, items: Iterable[StripeData], make: Callable[[StripeData], dict[str, Any] | None]
    ) -> list[dict[str, Any]]:
        """The facts of the objects that can be read."""
        found = [self.guard(_id(item), None, lambda item=item: make(item)) for item in items]  # type: ignore[misc]
        return [facts for facts in found if facts is not None]

    def compare(
        self, facts: list[dict[str, Any]], call: Callable[[list[dict[str, Any]]], list[Finding]]
    ) -> list[Finding]:
        """Compares facts in one call; one by one when the database refuses a value among them."""
        try:
            return call(facts)
        except Refused:
            found = [self.guard(one["id"], None, lambda one=one: call([one])) for one in facts]  # type: ignore[misc]
            return [finding for some in found for finding in some or ()]

    def each(self, items: Iterable[StripeData], handle: Callable[[StripeData], object]) -> None:
        """Handles objects one by one; differences that said that one could not be read are resolved when it can be."""
        read: list[str] = []
        for item in items:
            before = self.counts[UNREADABLE] + self.counts["no_permission"]
            self.guard(_id(item), item.get("account_id"), lambda item=item: handle(item))  # type: ignore[misc]
            if self.counts[UNREADABLE] + self.counts["no_permission"] == before:
                read.append(_id(item))
        if read:
            self.app.ledger.settle_unreadable([_storable(one) for one in read])

    def _unreadable(self, subject: str, account_id: str | None, why: str) -> None:
        self.counts[UNREADABLE] += 1
        self.not_compared(UNREADABLE)
        self.differs(_storable(subject), account_id, f"{UNREADABLE}: {why}")


def is_id(value: object) -> TypeGuard[str]:
    """Whether a value may be an id of Stripe's; whatever else stands there cannot be looked up."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _id(item: StripeData) -> str:
    return str(item.get("id"))


def _storable(text: str) -> str:
    """The text with escapes for what a database does not hold, at most as long as an id."""
    shown = (one if one.isprintable() else f"\\u{ord(one):04x}" for one in text[:255])
    return "".join(shown)
