"""Charges, refunds, disputes, balance transactions and the balance."""

from __future__ import annotations

import copy

from local.stripe import disputes
from local.stripe.currencies import written
from local.stripe.engine import Call
from local.stripe.errors import invalid, missing_param
from local.stripe.lists import page
from local.stripe.objects import balance_transaction
from local.stripe.routing import changed, merge_metadata, route
from local.stripe.store import Obj


@route("get", "/v1/charges/{charge}")
def retrieve_charge(call: Call, charge: str) -> Obj:
    return call.get("charge", charge, "charge")


@route("get", "/v1/charges")
def list_charges(call: Call) -> Obj:
    params = call.params
    return page(
        call,
        "charge",
        "/v1/charges",
        customer=params.get("customer"),
        payment_intent=params.get("payment_intent"),
    )


@route("post", "/v1/refunds")
def create_refund(call: Call) -> Obj:
    charge = _refundable(call)
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = call.params.get("amount", left)
    if charge["disputed"] and not disputes.refundable(call, charge):
        raise invalid(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    if left == 0 and charge["status"] == "succeeded":
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    if amount > left:
        raise invalid(
            f"Refund amount ({written(amount, charge['currency'])}) is greater than unrefunded amount on charge"
            f" ({written(left, charge['currency'])})",
            "amount",
        )
    return _refund(call, charge, amount)


def _refundable(call: Call) -> Obj:
    if call.params.get("charge"):
        return call.get("charge", call.params["charge"], "charge", 400)
    if not call.params.get("payment_intent"):
        raise missing_param("payment_intent")
    pi = call.get("payment_intent", call.params["payment_intent"], "payment_intent", 400)
    charge = call.engine.store.get("charge", pi["latest_charge"] or "")
    if charge is None or charge["status"] != "succeeded":
        raise invalid(
            f"This PaymentIntent ({pi['id']}) does not have a successful charge to refund.", "payment_intent"
        )
    return charge


def _refund(call: Call, charge: Obj, amount: int) -> Obj:
    refund: Obj = {
        "id": call.id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": call.now(),
        "currency": charge["currency"],
        "customer": charge["customer"],
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": call.params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    merge_metadata(refund, call.params)
    refund["balance_transaction"] = balance_transaction(call, refund, -amount, "refund")["id"]
    call.put(refund)
    _move_refunded(call, charge, amount, "charge.refunded")
    call.emit("refund.created", refund)
    disputes.refunded(call, charge)
    return refund


def _move_refunded(call: Call, charge: Obj, amount: int, event: str) -> None:
    before = dict(charge)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] >= charge["amount_captured"]
    call.put(charge)
    call.emit(event, charge, changed(before, charge))


def fail_refund(call: Call, refund: Obj) -> Obj:
    """The bank returned a refund: the money is back with the merchant."""
    if refund["status"] != "succeeded":
        raise invalid(f"Refund {refund['id']} has a status of {refund['status']}.")
    before = dict(refund)
    refund.update(status="failed", failure_reason="expired_or_canceled_card")
    refund["failure_balance_transaction"] = balance_transaction(
        call, refund, refund["amount"], "refund_failure"
    )["id"]
    call.put(refund)
    _move_refunded(call, call.get("charge", refund["charge"]), -refund["amount"], "charge.updated")
    call.emit("refund.updated", refund, changed(before, refund))
    call.emit("refund.failed", refund)
    return refund


@route("get", "/v1/refunds/{refund}")
def retrieve_refund(call: Call, refund: str) -> Obj:
    return call.get("refund", refund, "refund")


@route("get", "/v1/refunds")
def list_refunds(call: Call) -> Obj:
    params = call.params
    return page(
        call,
        "refund",
        "/v1/refunds",
        charge=params.get("charge"),
        payment_intent=params.get("payment_intent"),
    )


@route("get", "/v1/disputes/{dispute}")
def retrieve_dispute(call: Call, dispute: str) -> Obj:
    return call.get("dispute", dispute, "dispute")


@route("get", "/v1/disputes")
def list_disputes(call: Call) -> Obj:
    params = call.params
    return page(
        call,
        "dispute",
        "/v1/disputes",
        charge=params.get("charge"),
        payment_intent=params.get("payment_intent"),
    )


@route("get", "/v1/balance_transactions/{id}")
def retrieve_balance_transaction(call: Call, id: str) -> Obj:
    return call.get("balance_transaction", id)


@route("get", "/v1/balance_transactions")
def list_balance_transactions(call: Call) -> Obj:
    params = call.params
    url = "/v1/balance_transactions"
    return page(call, "balance_transaction", url, source=params.get("source"), type=params.get("type"))


@route("get", "/v1/balance")
def balance(call: Call) -> Obj:
    totals: dict[str, int] = {"usd": 0}
    rows = call.engine.store.db.execute(
        "select json_extract(body, '$.currency'), sum(json_extract(body, '$.net')) from objects where kind "
        "= 'balance_transaction' group by 1"
    )
    totals.update({row[0]: row[1] for row in rows})
    available = [
        {"amount": amount, "currency": currency, "source_types": {"card": amount}}
        for currency, amount in totals.items()
    ]
    pending = [{"amount": 0, "currency": currency, "source_types": {"card": 0}} for currency in totals]
    return {"object": "balance", "available": available, "livemode": False, "pending": pending}


def _update(call: Call, kind: str, id: str, event: str, names: tuple[str, ...] = ()) -> Obj:
    """Metadata and a few fields of an object that exists; what changed is in the event."""
    found = call.get(kind, id, kind)
    before = copy.deepcopy(found)
    found.update({name: call.params[name] for name in names if name in call.params})
    merge_metadata(found, call.params)
    difference = changed(before, found)
    if difference:
        call.put(found)
        call.emit(event, found, difference)
    return found


@route("post", "/v1/charges/{charge}")
def update_charge(call: Call, charge: str) -> Obj:
    return _update(call, "charge", charge, "charge.updated", ("description", "receipt_email"))


@route("post", "/v1/refunds/{refund}")
def update_refund(call: Call, refund: str) -> Obj:
    return _update(call, "refund", refund, "refund.updated")


@route("post", "/v1/disputes/{dispute}")
def update_dispute(call: Call, dispute: str) -> Obj:
    """Evidence is kept; `submit` sends it, and the bank reviews."""
    found = call.get("dispute", dispute, "dispute")
    if found["status"] in ("won", "lost", "warning_closed"):
        raise invalid("This dispute is already closed.")
    before = copy.deepcopy(found)
    found["evidence"].update(call.params.get("evidence") or {})
    details = found["evidence_details"]
    details["has_evidence"] = details["has_evidence"] or bool(call.params.get("evidence"))
    if call.params.get("submit"):
        details["submission_count"] += 1
        found["status"] = "warning_under_review" if found["status"].startswith("warning") else "under_review"
    merge_metadata(found, call.params)
    call.put(found)
    call.emit("charge.dispute.updated", found, changed(before, found))
    return found


@route("post", "/v1/disputes/{dispute}/close")
def close_dispute(call: Call, dispute: str) -> Obj:
    """The merchant accepts it: lost."""
    return disputes.close(call, call.get("dispute", dispute, "dispute"), won=False)
