"""Invoices, invoice items, invoice payments and customer balance transactions."""

from __future__ import annotations

from typing import Any

from local.stripe import balances, changes, collection, discounts, invoices, lines, subscriptions
from local.stripe.currencies import known
from local.stripe.engine import Call
from local.stripe.errors import invalid, missing_param
from local.stripe.lists import page, whole
from local.stripe.resources.catalogue import price
from local.stripe.resources.customers import clocked, living
from local.stripe.routing import changed, merge_metadata, route
from local.stripe.store import Obj, public


@route("post", "/v1/invoices")
def create_invoice(call: Call) -> Obj:
    params = call.params
    if not params.get("customer"):
        raise missing_param("customer")
    customer = clocked(call, params["customer"])
    subscription = None
    if params.get("subscription"):
        subscription = call.get("subscription", params["subscription"], "subscription", 400)
    currency = known(params.get("currency") or customer["currency"] or "usd")
    invoice = invoices.make(call, customer, currency, "manual", subscription)
    invoice.update(
        description=params.get("description"),
        collection_method=params.get("collection_method", "charge_automatically"),
        default_payment_method=params.get("default_payment_method"),
        rendering={
            "amount_tax_display": None,
            "pdf": {"page_size": "auto"},
            "template": None,
            "template_version": None,
        },
    )
    merge_metadata(invoice, params)
    used = discounts.begin(call, params.get("discounts"), customer["id"], "discounts", invoice=invoice["id"])
    invoice["discounts"] += [one["id"] for one in used]
    include = (
        params.get("pending_invoice_items_behavior", "include" if subscription else "exclude") == "include"
    )
    waiting = lines.pending(call, customer["id"], params.get("subscription")) if include else []
    for one in waiting:
        call.put({**one, "invoice": invoice["id"]})
    invoices.add_lines(call, invoice, [lines.of_invoice_item(call, one) for one in waiting])
    call.emit("invoice.created", invoice)
    return invoice


@route("post", "/v1/invoiceitems")
def create_item(call: Call) -> Obj:
    params = call.params
    if not params.get("customer"):
        raise missing_param("customer")
    customer = clocked(call, params["customer"])
    invoice = call.get("invoice", params["invoice"], "invoice", 400) if params.get("invoice") else None
    if invoice and invoice["status"] != "draft":
        raise invalid("The specified invoice is already finalized and can't be changed.", "invoice")
    currency = known(params.get("currency") or (invoice or {}).get("currency") or "usd")
    item, bought = _item(call, customer, currency)
    used = discounts.begin(
        call, params.get("discounts"), customer["id"], "discounts", invoice_item=item["id"]
    )
    item["discounts"] = [one["id"] for one in used]
    if params.get("subscription"):
        subscription = call.get("subscription", params["subscription"], "subscription", 400)
        item["_subscription"] = subscription["id"]
        item["_item"] = subscriptions.items(subscription)[0]["id"]
        details = {"subscription": subscription["id"], "subscription_item": None}
        item["parent"] = {"subscription_details": details, "type": "subscription_details"}
    merge_metadata(item, params)
    item["pricing"] = {
        "price_details": {"price": bought["id"], "product": bought["product"]},
        "type": "price_details",
        "unit_amount_decimal": bought["unit_amount_decimal"],
    }
    if invoice:
        item["invoice"] = invoice["id"]
        call.put(item)
        before = public(invoice)
        invoices.add_lines(call, invoice, [lines.of_invoice_item(call, item)])
        call.emit("invoice.updated", invoice, changed(before, public(invoice)))
    call.put(item)
    call.emit("invoiceitem.created", item)
    return item


def _item(call: Call, customer: Obj, currency: str) -> tuple[Obj, Obj]:
    params = call.params
    quantity = params.get("quantity", 1)
    if (params.get("pricing") or {}).get("price"):
        bought = call.get("price", params["pricing"]["price"], "pricing[price]", 400)
        amount = bought["unit_amount"] * quantity
    elif params.get("price_data"):
        bought = price(call, params["price_data"], inline=True)
        amount = bought["unit_amount"] * quantity
    elif params.get("amount") is None:
        raise missing_param("amount")
    else:
        amount = params["amount"]
        name = params.get("description") or "Invoice item"
        data = {"currency": currency, "unit_amount": abs(amount), "product_data": {"name": name}}
        bought = price(call, data, inline=True)
    item = lines.blank_item(call, customer["id"], currency, amount)
    item.update(
        description=params.get("description"),
        discountable=params.get("discountable", amount >= 0),
        quantity=quantity,
        quantity_decimal=str(quantity),
    )
    if params.get("period"):
        item["period"] = dict(params["period"])
    return item, bought


@route("get", "/v1/invoiceitems")
def list_items(call: Call) -> Obj:
    return page(call, "invoiceitem", "/v1/invoiceitems", customer=call.params.get("customer"))


@route("post", "/v1/invoices/create_preview")
def preview(call: Call) -> Obj:
    """The invoice of the next renewal, or of the change that `subscription_details` describe. Nothing stays."""
    params = call.params
    if not params.get("subscription"):
        raise missing_param("subscription")
    subscription = call.get("subscription", params["subscription"], "subscription", 400)
    clocked(call, subscription["customer"])
    details = dict(params.get("subscription_details") or {})
    anchor = details.get("billing_cycle_anchor")
    if isinstance(anchor, str):
        details["billing_cycle_anchor"] = {"type": anchor}
    invoice = changes.preview(call, subscription, details)
    shown: Obj = {**invoice, "id": "upcoming_in_" + invoice["id"].removeprefix("in_")}
    return shown


@route("get", "/v1/invoices/{invoice}")
def retrieve_invoice(call: Call, invoice: str) -> Obj:
    return _with_payments(call, call.get("invoice", invoice, "invoice"))


def _with_payments(call: Call, invoice: Obj) -> Obj:
    if not any(path.split(".")[0] == "payments" for path in call.params.get("expand", [])):
        return invoice
    found = collection.payments(call, invoice["id"])
    return {**invoice, "payments": whole(found, f"/v1/invoice_payments?invoice={invoice['id']}")}


@route("get", "/v1/invoices/{invoice}/lines")
def list_lines(call: Call, invoice: str) -> Obj:
    """All lines; an invoice itself shows the first ten."""
    found = call.get("invoice", invoice, "invoice")["_lines"]
    after = call.params.get("starting_after")
    start = next((place + 1 for place, one in enumerate(found) if one["id"] == after), 0)
    limit = call.params.get("limit", 10)
    part = whole(found[start : start + limit], f"/v1/invoices/{invoice}/lines")
    return {**part, "has_more": len(found) > start + limit}


@route("get", "/v1/invoices")
def list_invoices(call: Call) -> Obj:
    params = call.params
    return page(
        call,
        "invoice",
        "/v1/invoices",
        customer=params.get("customer"),
        status=params.get("status"),
        **(
            {"parent.subscription_details.subscription": params["subscription"]}
            if "subscription" in params
            else {}
        ),
    )


@route("post", "/v1/invoices/{invoice}/finalize")
def finalize(call: Call, invoice: str) -> Obj:
    return collection.finalize(call, _clocked(call, invoice))


@route("post", "/v1/invoices/{invoice}/pay")
def pay(call: Call, invoice: str) -> Obj:
    found = _clocked(call, invoice)
    if found["status"] == "draft":
        collection.finalize(call, found)
    elif found["status"] == "paid":
        raise invalid("Invoice is already paid", code="invoice_already_paid")
    elif found["status"] == "void":
        raise invalid("This invoice has been voided and can't be paid.")
    if found["status"] in ("open", "uncollectible"):
        if call.params.get("paid_out_of_band"):
            collection.settle(call, found, None, out_of_band=True)
        else:
            found = call.put({**found, "status": "open"})
            refusal = collection.collect(
                call, found, call.params.get("payment_method"), call.params.get("off_session", True)
            )
            if refusal is not None:
                raise refusal
    return call.get("invoice", invoice)


@route("post", "/v1/invoices/{invoice}/void")
def void(call: Call, invoice: str) -> Obj:
    return collection.end_unpaid(call, _clocked(call, invoice), "void")


@route("post", "/v1/invoices/{invoice}/mark_uncollectible")
def mark_uncollectible(call: Call, invoice: str) -> Obj:
    return collection.end_unpaid(call, _clocked(call, invoice), "uncollectible")


@route("delete", "/v1/invoices/{invoice}")
def delete_invoice(call: Call, invoice: str) -> Obj:
    found = call.get("invoice", invoice, "invoice")
    if found["status"] != "draft" or found.get("_subscription"):
        raise invalid("You can only delete draft invoices that no subscription made.")
    call.emit("invoice.deleted", found)
    call.engine.store.delete(invoice)
    return {"id": invoice, "object": "invoice", "deleted": True}


def _clocked(call: Call, id: str) -> Obj:
    found = call.get("invoice", id, "invoice")
    clocked(call, found["customer"], deleted=True)
    return found


@route("get", "/v1/invoice_payments/{invoice_payment}")
def retrieve_invoice_payment(call: Call, invoice_payment: str) -> Obj:
    return call.get("invoice_payment", invoice_payment, "invoice_payment")


@route("get", "/v1/invoice_payments")
def list_invoice_payments(call: Call) -> Obj:
    params = call.params
    wanted: dict[str, Any] = params.get("payment") or {}
    equals = {f"payment.{name}": value for name, value in wanted.items()}
    return page(
        call,
        "invoice_payment",
        "/v1/invoice_payments",
        invoice=params.get("invoice"),
        status=params.get("status"),
        **equals,
    )


@route("post", "/v1/customers/{customer}/balance_transactions")
def change_balance(call: Call, customer: str) -> Obj:
    """Credit (negative) or debit a customer's balance; the next invoice uses it."""
    found = living(call, customer, "customer", 404)
    before = public(found)
    found["balance"] += call.params["amount"]
    found["currency"] = found["currency"] or known(call.params["currency"])
    call.put(found)
    made = balances.record(call, found, call.params["amount"], call.params["currency"].lower(), "adjustment")
    made["description"] = call.params.get("description")
    merge_metadata(made, call.params)
    call.emit("customer.updated", found, changed(before, public(found)))
    return call.put(made)


@route("get", "/v1/customers/{customer}/balance_transactions")
def list_balance(call: Call, customer: str) -> Obj:
    living(call, customer, "customer", 404)
    return page(
        call,
        "customer_balance_transaction",
        f"/v1/customers/{customer}/balance_transactions",
        customer=customer,
    )
