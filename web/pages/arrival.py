"""Waiting for what a payment brings: what the page that waits says, how it refreshes itself, and asking a worker to look.

A page waits by a part that htmx asks for every second (`part`), or without JavaScript by reloading itself. Either carries
`since`, the second in which the waiting began, so that only the first view has a worker ask Stripe.
"""

from __future__ import annotations

import time
from typing import Any

from flask import request

from shared import queue
from shared.errors import Refused
from shared.models import Payment
from web.services import services

SETTLED = ("succeeded", "failed", "canceled", "parked")
SLOW_SECONDS = 15
"""Webhooks take a second or two; who waits longer is told why."""
_TITLES = {"succeeded": "Thank you", "parked": "Being checked", "failed": "Not paid", "canceled": "Not paid"}


def is_part() -> bool:
    """Whether only the part that refreshes itself is asked for."""
    return "part" in request.args


def is_first() -> bool:
    """Whether the waiting begins with this view, which then is no part and no reload of it."""
    return not is_part() and _since() is None


def waiting(where: str) -> dict[str, Any]:
    """What templates need to wait: `where` is the page's own address.

    `poll` and `reload` are addresses of the part and of the page without JavaScript; `slow`: this takes longer than usual.
    """
    now = int(time.time())
    since = _since() or now
    again = f"{where}{'&' if '?' in where else '?'}since={since}"
    return {
        "is_part": is_part(),
        "poll": f"{again}&part=1",
        "reload": again,
        "slow": now - since >= SLOW_SECONDS,
    }


def title(payment: Payment) -> str:
    """The page's title by what became of the payment."""
    return _TITLES.get(payment["status"], "Waiting for the payment")


def look(subject: str, actor: str = queue.CHECK_PAYMENT) -> None:
    """Has a worker ask Stripe at once what became of a payment, or of a plan's checkout, so that the credits need not wait
    for a webhook. Who comes back too often is not refused: the page waits as well without it.
    """
    try:
        services().limiter.check("pay", subject, request.remote_addr)
    except Refused:
        return
    services().queue.hint(actor, subject)


def _since() -> int | None:
    """When the waiting began, in epoch seconds; None when it begins now. It changes words only, so anybody may write it."""
    text = request.args.get("since", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None  # noqa: PLR2004
