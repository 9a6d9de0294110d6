"""What the account is charged: before it is, and afterwards. One wrapper per SQL function; see shared.ledger."""

from __future__ import annotations

from typing import Any

from shared.charge_models import ConsentRecord, PurchaseQuote, TopupPreview
from shared.db import Json
from shared.ledger.calls import Calls, Page


class ChargeCalls(Calls):
    """What the account is charged: before it is, and afterwards."""

    def quote_purchase(self, account_id: str, package_id: str, quantity: int) -> PurchaseQuote:
        """What so many of a package come to, with fees and taxes. Refused: unknown_account, unknown_package, invalid_value
        (more than one payment may carry).
        """
        return self._call(
            "quote_purchase", p_account_id=account_id, p_package_id=package_id, p_quantity=quantity
        )

    def list_charges(self, account_id: str, limit: int, cursor: str | None) -> Page:
        """Payments and invoices, newest first, each with its refunds and disputes. Refused: unknown_account, not_found
        (cursor).
        """
        return self._call("list_charges", p_account_id=account_id, p_limit=limit, p_cursor=cursor)

    def preview_auto_topup(self, account_id: str, settings: dict[str, Any]) -> TopupPreview:
        """What set_auto_topup with these settings would lead to at once; changes nothing. Refused: unknown_account,
        unknown_package, invalid_auto_topup.
        """
        return self._call("preview_auto_topup", p_account_id=account_id, p_settings=Json(settings))

    def list_auto_topup_consents(self, account_id: str, limit: int) -> list[ConsentRecord]:
        """Who allowed, changed or withdrew automatic charges, newest first. Refused unknown_account."""
        return self._call("list_auto_topup_consents", p_account_id=account_id, p_limit=limit)
