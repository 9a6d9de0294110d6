"""Numbers as people type them."""

from __future__ import annotations

import re

_GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+", re.ASCII)


def ungrouped(text: str) -> str:
    """A number without the commas between its thousands: "1,050.25" -> "1050.25".

    Raises ValueError for a comma anywhere else: "99,99" is meant as 99.99 by some, and must not become 9999.
    """
    whole, dot, fraction = text.partition(".")
    if "," not in text:
        return text
    if "," in fraction or not _GROUPED.fullmatch(whole):
        raise ValueError("a number with commas between thousands only, such as 1,050.25")
    return whole.replace(",", "") + dot + fraction
