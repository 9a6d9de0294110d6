"""Payments in bulk: one that was really paid is copied, at the local Stripe and in the books."""

from __future__ import annotations

import sqlite3
from typing import Any

import psycopg

# A transaction that changes one balance thousands of times reads all of its former versions each time.
BATCH = 100
INTENT = "pi_many_{:06}"
PAYMENT = "pay_many_{:06}"
# As web and worker book them, without asking Stripe.
OPEN = """
select count(billing.open_purchase('pay_many_' || lpad(i::text, 6, '0'), %s, %s, 1, %s))
  from generate_series(%s::integer, %s::integer) i
"""
SETTLE = """
select count(billing.settle_payment(p.id, jsonb_build_object('payment_intent', replace(p.id, 'pay_', 'pi_'),
         'customer', p.stripe_customer_id, 'amount_received', p.amount, 'currency', p.currency,
         'charge', replace(p.id, 'pay_', 'ch_'))))
  from billing.payments p join generate_series(%s::integer, %s::integer) i on p.id = 'pay_many_' || lpad(i::text, 6, '0')
 where i %% %s::integer <> 0
"""


def at_stripe(state: sqlite3.Connection, payment_id: str, intent_id: str, numbers: range) -> None:
    """Copies a PaymentIntent of the local Stripe and its charge, each for another payment."""
    rows = state.execute(
        "select kind, id, created, customer, body from objects where id = ? or kind = 'charge' and payment_intent = ?",
        (intent_id, intent_id),
    ).fetchall()
    [charge_id] = [row[1] for row in rows if row[0] == "charge"]
    for number in numbers:
        intent = INTENT.format(number)
        new = {intent_id: intent, charge_id: intent.replace("pi_", "ch_"), payment_id: PAYMENT.format(number)}
        for kind, found_id, created, customer, body in rows:
            for old, other in new.items():
                body = body.replace(old, other)  # noqa: PLW2901 - one after the other
            state.execute(
                "insert into objects (kind, id, created, customer, payment_intent, body) values (?, ?, ?, ?, ?, ?)",
                (kind, new[found_id], created, customer, intent if kind == "charge" else None, body),
            )


def in_books(connection: psycopg.Connection[Any], payment_id: str, numbers: range, unpaid_every: int) -> None:
    """Books purchases like a given one. Every so many-th (0: none) stays open: Stripe has it as paid, the books do not."""
    row: Any = connection.execute(
        "select account_id, package_id, stripe_customer_id from billing.payments where id = %s", [payment_id]
    ).fetchone()
    for start in range(numbers.start, numbers.stop, BATCH):
        last = min(start + BATCH, numbers.stop) - 1
        connection.execute(OPEN, [*row, start, last])
        connection.execute(SETTLE, [start, last, unpaid_every or numbers.stop + 1])


def as_paid(connection: psycopg.Connection[Any], payment_id: str, numbers: range) -> None:
    """Rows of payments that were paid, without what they granted: reconciliation reads no lots."""
    connection.execute(
        "insert into billing.payments (id, account_id, purpose, package_id, credits, amount, currency, status,"
        " stripe_customer_id, stripe_payment_intent_id, paid_at)"
        " select 'pay_many_' || lpad(i::text, 6, '0'), account_id, purpose, package_id, credits, amount, currency,"
        " 'succeeded', stripe_customer_id, 'pi_many_' || lpad(i::text, 6, '0'), now()"
        " from billing.payments, generate_series(%s::integer, %s::integer) i where id = %s",
        [numbers.start, numbers.stop - 1, payment_id],
    )
