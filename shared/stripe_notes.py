"""Reports to the operators what Stripe refused and only they can correct, wherever the call was made."""

from __future__ import annotations

import logging
import re
from typing import Final

from shared.errors import RefillError
from shared.ledger import Ledger
from shared.stripe_errors import StripeForbidden, StripeRefused

log = logging.getLogger(__name__)

_CATALOGUE = re.compile(r"'((?:price|prod|plan)_\w+)'")
_LENGTH_MAX: Final = 500


def report(ledger: Ledger, error: RefillError, account_id: str | None = None) -> None:
    """Files a refusal that only an operator can act on, with Stripe's code, sentence and request id; others are not filed.

    The notice goes out once a day for one cause. A database that is away loses the report, never the caller's answer:
    the next refusal files it.
    """
    if not isinstance(error, (StripeRefused, StripeForbidden)) or not error.refusal.operator:
        return
    details = {
        "stripe_code": error.stripe_code,
        "param": error.param,
        "message": error.message[:_LENGTH_MAX],
        "request_id": error.request_id,
    }
    facts = {"code": error.refusal.code, "stripe_code": error.stripe_code, "request_id": error.request_id}
    log.error("Stripe refused a call", extra={**facts, "answer": details["message"], "account": account_id})
    try:
        ledger.note_stripe_refusal(_cause(error), error.refusal.code, account_id, details)
    except RefillError:
        log.exception("a refusal of Stripe could not be filed")


def _cause(error: StripeRefused | StripeForbidden) -> str:
    """What one notice a day is about: no ids but those of the catalogue, of which each needs its own correction."""
    named = _CATALOGUE.search(error.message)
    parts = (error.refusal.code, error.stripe_code, error.param, named[1] if named else None)
    return ":".join(part or "" for part in parts)
