"""Which e-mail addresses Stripe takes. What it refuses is `email_invalid`, with the address in the message.

Stripe does not document the rule. These are the kinds that people reported as refused: no dot in the domain
(fjordllc/bootcamp#4134, exercism/website#7721), no at sign (fjordllc/bootcamp#6408), a full-width at sign
(fjordllc/bootcamp#7638), spaces at an end (stripe/stripe-dotnet#1897), letters outside of ASCII before the at sign
(Sylius/PayumStripePlugin#9), a comma.
"""

from __future__ import annotations

import re

from local.stripe.errors import invalid

_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")
_LAST = re.compile(r"[^\W\d_]{2,}|xn--[a-z0-9-]+", re.IGNORECASE)
_LONGEST = 512
_LONGEST_DOMAIN = 253


def check_address(address: str | None, param: str = "email") -> None:
    """Raise Stripe's `email_invalid` for an address that it does not take; None and empty are no address."""
    if not address:
        return
    if len(address) > _LONGEST:
        text = f"Invalid string: {address[:10]}...{address[-10:]}; must be at most {_LONGEST} characters"
        raise invalid(text, param)
    local, at, domain = address.rpartition("@")
    labels = domain.split(".")
    fits = (
        at
        and _LOCAL.fullmatch(local)
        and not local.startswith(".")
        and not local.endswith(".")
        and ".." not in local
        and len(labels) > 1
        and len(domain) <= _LONGEST_DOMAIN
        and all(_LABEL.fullmatch(label) for label in labels[:-1])
        and _LAST.fullmatch(labels[-1])
    )
    if not fits:
        raise invalid(f"Invalid email address: {address}", param, "email_invalid")
