"""Every id and idempotency key that Refill makes, in one place.

A key is built from a stored row, never from an amount, a threshold or a clock: a repeat of the same work sends the same
key, and another piece of work never does.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import uuid

STRIPE_KEY_MAX = 255
_NAMESPACE = uuid.UUID("6f0c8a52-5d0e-4f0b-9f53-6a4f6f1d7a10")


def new_id(prefix: str) -> str:
    """A fresh id such as `pay_3f…`: 128 random bits behind a prefix that says what it names."""
    return f"{prefix}_{secrets.token_hex(16)}"


def derived_id(prefix: str, *parts: str) -> str:
    """The same id for the same parts, so that a repeated request finds the row that its first try wrote."""
    return f"{prefix}_{uuid.uuid5(_NAMESPACE, json_safe(parts)).hex}"


def json_safe(parts: tuple[str, ...]) -> str:
    """Joins parts without ambiguity: each is preceded by its length."""
    return "".join(f"{len(part)}:{part}" for part in parts)


def new_api_key() -> tuple[str, str]:
    """A new API key and the prefix that may be shown: (`rk_…`, `rk_1a2b3c4d`)."""
    key = f"rk_{secrets.token_hex(24)}"
    return key, key[:11]


def api_key_hash(key: str) -> bytes:
    """What is stored of an API key. SHA-256 is enough: the key has 192 random bits, so there is nothing to guess."""
    return hashlib.sha256(key.encode()).digest()


def new_webhook_secret() -> str:
    """A signing secret of webhooks out, in the form of Standard Webhooks: `whsec_` and 24 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def webhook_id(notice_id: int) -> str:
    """The `webhook-id` of a notice: the same for every try and every endpoint, so that a receiver knows a repeat."""
    return f"msg_{notice_id}"


def new_session_id() -> str:
    """What a browser holds while somebody is signed in: 256 random bits."""
    return secrets.token_urlsafe(32)


def session_hash(session_id: str) -> bytes:
    """What is stored of a session's id. SHA-256 is enough: there is nothing to guess."""
    return hashlib.sha256(session_id.encode()).digest()


def local_user_id(account_id: str) -> str:
    """The user who owns an account without members when the local sign-in link is followed."""
    return str(uuid.uuid5(_NAMESPACE, f"local owner of {account_id}"))


def local_operator_id() -> str:
    """The operator of a Refill that runs on one machine."""
    return str(uuid.uuid5(_NAMESPACE, "local operator"))


def customer_create(account_id: str, attempt: int) -> str:
    """Stripe idempotency key for creating an account's customer: the stored attempt has parameters of its own."""
    return numbered(f"customer:{account_id}", attempt)


def numbered(key: str, attempt: int) -> str:
    """The key of an attempt, from 1 on: a key is bound to the parameters and the answer that it was first used with, so that
    other parameters, and a way past a saved 5xx or refusal, need another one. The number stands in front, since ids of
    accounts may end in one. Stripe takes at most 255 characters.
    """
    whole = key if attempt == 1 else f"{attempt}:{key}"
    return whole if len(whole) <= STRIPE_KEY_MAX else hashlib.sha256(whole.encode()).hexdigest()


def checkout_create(payment_id: str) -> str:
    """Stripe idempotency key for a payment's Checkout Session."""
    return f"checkout:{payment_id}"


def purchase_create(payment_id: str) -> str:
    """Stripe idempotency key for the PaymentIntent of a purchase that is paid without Checkout."""
    return f"purchase:{payment_id}:create"


def setup_create(request_id: str) -> str:
    """Stripe idempotency key for a SetupIntent, by the request that asks for it."""
    return f"setup:{request_id}"


def topup_create(topup_id: str) -> str:
    """Stripe idempotency key for creating a top-up's PaymentIntent."""
    return f"topup:{topup_id}:create"


def topup_confirm(topup_id: str) -> str:
    """Stripe idempotency key for confirming a top-up's PaymentIntent: one confirmation a top-up, ever."""
    return f"topup:{topup_id}:confirm"
