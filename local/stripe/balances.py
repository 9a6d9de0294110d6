"""Customer balances: credits pay invoices, debts are added to them, and amounts below the minimum wait there.

A negative balance is a credit to the customer (docs.stripe.com/billing/customer/balance).
"""

from __future__ import annotations

from local.stripe import currencies
from local.stripe.engine import Call
from local.stripe.store import Obj


def apply(call: Call, invoice: Obj, customer: Obj) -> None:
    """A credit of the customer pays first, a debt is added; what is below the minimum waits on the balance."""
    total, start = invoice["total"], customer["balance"]
    due = max(total + start, 0)
    end = min(total + start, 0)
    kind = "applied_to_invoice"
    automatic = invoice["collection_method"] == "charge_automatically"
    if due and automatic and currencies.too_small(due, invoice["currency"]):
        due, end, kind = 0, due, "invoice_too_small"
    invoice.update(starting_balance=start, ending_balance=end, amount_due=due, amount_remaining=due)
    customer["balance"] = end
    if end != start:
        record(call, customer, end - start, invoice["currency"], kind, invoice["id"])


def record(
    call: Call, customer: Obj, amount: int, currency: str, kind: str, invoice: str | None = None
) -> Obj:
    """A customer balance transaction: negative is a credit to the customer."""
    return call.put(
        {
            "id": call.id("cbtxn"),
            "object": "customer_balance_transaction",
            "amount": amount,
            "created": call.now(),
            "credit_note": None,
            "currency": currency,
            "customer": customer["id"],
            "description": None,
            "ending_balance": customer["balance"],
            "invoice": invoice,
            "livemode": False,
            "metadata": {},
            "type": kind,
        }
    )
