"""Disputes: opened by a test card or the control API, then won or lost. An inquiry moves no money."""

from __future__ import annotations

from typing import Any

from local.stripe.engine import Call
from local.stripe.errors import invalid
from local.stripe.objects import balance_transaction
from local.stripe.routing import changed
from local.stripe.store import Obj

_EVIDENCE = (
    "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure "
    "cancellation_rebuttal customer_communication customer_email_address customer_name "
    "customer_purchase_ip customer_signature duplicate_charge_documentation duplicate_charge_explanation "
    "duplicate_charge_id product_description receipt refund_policy refund_policy_disclosure "
    "refund_refusal_explanation service_date service_documentation shipping_address shipping_carrier "
    "shipping_date shipping_documentation shipping_tracking_number uncategorized_file uncategorized_text"
)


def open_dispute(
    call: Call, charge: Obj, amount: int | None = None, reason: str = "fraudulent", inquiry: bool = False
) -> Obj:
    """The cardholder disputes a charge; unless it is an inquiry, the funds are withdrawn at once."""
    dispute = call.put(_build(call, charge, amount or charge["amount"], reason, inquiry))
    before = dict(charge)
    charge["disputed"] = True
    call.put(charge)
    call.emit("charge.dispute.created", dispute)
    call.emit("charge.updated", charge, changed(before, charge))
    return dispute if inquiry else _withdraw(call, dispute)


def escalate(call: Call, dispute: Obj) -> Obj:
    """An inquiry becomes a chargeback: now the funds are withdrawn."""
    before = dict(dispute)
    dispute.update(status="needs_response", is_charge_refundable=False)
    call.put(dispute)
    call.emit("charge.dispute.updated", dispute, changed(before, dispute))
    return _withdraw(call, dispute)


def close(call: Call, dispute: Obj, won: bool) -> Obj:
    """The bank has decided. Winning brings withdrawn funds back."""
    if dispute["status"] in ("won", "lost", "warning_closed"):
        raise invalid(f"Dispute {dispute['id']} is already closed.")
    inquiry = dispute["status"].startswith("warning")
    dispute["status"] = "warning_closed" if inquiry else "won" if won else "lost"
    if won and not inquiry:
        transaction = balance_transaction(call, _source(dispute), dispute["amount"], "adjustment")
        dispute["balance_transactions"].append(transaction)
        call.put(dispute)
        call.emit("charge.dispute.funds_reinstated", dispute)
    call.put(dispute)
    call.emit("charge.dispute.closed", dispute)
    return dispute


def refunded(call: Call, charge: Obj) -> None:
    """A full refund ends an inquiry: there is nothing left to ask about (docs.stripe.com/disputes/how-disputes-work)."""
    found = call.engine.store.select("dispute", "json_extract(body, '$.charge') = ?", (charge["id"],))
    for dispute in found:
        if charge["refunded"] and dispute["status"] in ("warning_needs_response", "warning_under_review"):
            close(call, dispute, won=False)


def correct(call: Call, dispute: Obj, amount: int) -> Obj:
    """The bank changed the disputed amount: funds move by the difference, unless it is an inquiry."""
    if dispute["status"] in ("won", "lost", "warning_closed"):
        raise invalid(f"Dispute {dispute['id']} is already closed.")
    before = dict(dispute)
    difference = dispute["amount"] - amount
    dispute["amount"] = amount
    if difference and not dispute["status"].startswith("warning"):
        moved = balance_transaction(call, _source(dispute), difference, "adjustment")
        dispute["balance_transactions"] = [*dispute["balance_transactions"], moved]
    call.put(dispute)
    call.emit("charge.dispute.updated", dispute, changed(before, dispute))
    return dispute


def refundable(call: Call, charge: Obj) -> bool:
    """Whether every dispute over the charge still lets it be refunded."""
    found = call.engine.store.select("dispute", "json_extract(body, '$.charge') = ?", (charge["id"],))
    return all(dispute["is_charge_refundable"] for dispute in found)


def _withdraw(call: Call, dispute: Obj) -> Obj:
    transaction = balance_transaction(call, _source(dispute), -dispute["amount"], "adjustment")
    dispute["balance_transactions"].append(transaction)
    call.put(dispute)
    call.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def _source(dispute: Obj) -> Obj:
    return {**dispute, "description": f"Chargeback for {dispute['charge']}"}


def _build(call: Call, charge: Obj, amount: int, reason: str, inquiry: bool) -> Obj:
    evidence: dict[str, Any] = dict.fromkeys(_EVIDENCE.split())
    card = charge["payment_method_details"].get("card")
    brand = card["brand"] if card else None
    return {
        "id": call.id("du"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": call.now(),
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**evidence, "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": call.now() + 7 * 86400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": card
        and {
            "card": {
                "brand": brand,
                "case_type": "inquiry" if inquiry else "chargeback",
                "network": brand,
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }
