"""What Refill writes on its PaymentIntents and Checkout Sessions, sealed, so that a payment's row can be made again from it.

After a restore from an older backup Stripe knows payments that the books have forgotten. Their metadata says which credits
they bought; the seal proves that Refill wrote it, and not somebody who may edit metadata in Stripe's Dashboard.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from shared.keys import json_safe

PREFIX: Final = "refill_"
SEAL: Final = "refill_seal"
# The parts of a row that nothing else at Stripe tells. Amount and currency stand on the PaymentIntent.
_PARTS: Final = ("payment_id", "account_id", "topup_id", "package_id", "quantity", "credits", "net_amount")


class Sealer:
    """Seals and verifies metadata under SECRET_KEY. A new key makes older seals unreadable, and loses nothing else."""

    def __init__(self, secret_key: str) -> None:
        self._key = hmac.digest(secret_key.encode(), b"refill payment seal", hashlib.sha256)

    def metadata_of(self, row: Mapping[str, Any], *, payment_id: str, topup_id: str | None) -> dict[str, str]:
        """The metadata of a payment's objects at Stripe. row: a payment, or a top-up with its payment's parts."""
        parts = {**row, "payment_id": payment_id, "topup_id": topup_id}
        metadata = {f"{PREFIX}{name}": str(parts[name]) for name in _PARTS if parts.get(name) is not None}
        return {**metadata, SEAL: self._seal(metadata, row["amount"], row["currency"])}

    def row_of(self, intent: Mapping[str, Any]) -> dict[str, Any] | None:
        """The parts of the row that made a PaymentIntent, for ledger.restore_payment; None when the seal is not ours."""
        metadata = _metadata(intent)
        found = {f"{PREFIX}{name}": metadata.get(f"{PREFIX}{name}") for name in _PARTS}
        known: dict[str, str] = {name: value for name, value in found.items() if value is not None}
        expected = self._seal(known, intent.get("amount"), intent.get("currency"))
        if not _is_equal(expected, metadata.get(SEAL)):
            return None
        row: dict[str, Any] = {name: metadata.get(f"{PREFIX}{name}") for name in _PARTS}
        numbers = {
            name: int(row[name]) for name in ("quantity", "credits", "net_amount") if row[name] is not None
        }
        return {
            **row,
            **numbers,
            "id": row["payment_id"],
            "amount": intent["amount"],
            "currency": intent["currency"],
        }

    def customer_metadata(self, account_id: str) -> dict[str, str]:
        """The metadata of an account's customer."""
        metadata = {f"{PREFIX}account_id": account_id}
        return {**metadata, SEAL: self._seal(metadata, None, None)}

    def account_of(self, customer: Mapping[str, Any]) -> str | None:
        """The account that a customer was made for; None when the seal is not ours: another Refill may share the account."""
        metadata = _metadata(customer)
        account_id = metadata.get(f"{PREFIX}account_id")
        if account_id is None:
            return None
        expected = self.customer_metadata(account_id)[SEAL]
        return account_id if _is_equal(expected, metadata.get(SEAL)) else None

    def _seal(self, metadata: Mapping[str, str], amount: Any, currency: Any) -> str:
        parts = (*(f"{name}={metadata[name]}" for name in sorted(metadata)), f"{amount}", f"{currency}")
        return hmac.new(
            self._key, json_safe(parts).encode(errors="surrogatepass"), hashlib.sha256
        ).hexdigest()


def _metadata(found: Mapping[str, Any]) -> dict[str, Any]:
    metadata = found.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _is_equal(expected: str, given: object) -> bool:
    """In constant time. As bytes: of text, compare_digest takes ASCII only and raises TypeError for the rest."""
    return hmac.compare_digest(expected.encode(), str(given).encode(errors="replace"))
