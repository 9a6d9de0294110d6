"""A year of one account by days: what was there becomes a day older each night, in the books and at the local Stripe.

Both clocks stay where they are, so that every time at Stripe and in the books means the same.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from local.clock import age
from shared import queue
from tests.workers.month import ACTORS, Month
from tests.workers.world import CREDIT
from workers import maintenance, subscriptions, topups

ACCOUNT = "year"
DAY = 86_400
# Every time in an object of Stripe is a whole number of seconds within these; no amount of these tests is.
TIMES = range(1_500_000_000, 2_500_000_000)
ACTORS |= {queue.CHECK_SUBSCRIPTION: subscriptions.check_subscription}


def older(value: Any) -> Any:
    """An object of Stripe with every time in it a day earlier."""
    if isinstance(value, dict):
        return {name: older(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [older(inner) for inner in value]
    return value - DAY if type(value) is int and value in TIMES else value


class Year(Month):
    """The account, its days, and what its books and Stripe say of money."""

    customer: str
    method: str

    def begin(self) -> None:
        """50 credits for signing up, a card, topped up by 100 at 50."""
        self.ledger.open_account(ACCOUNT, "Year", "owner@example.com", None, 50 * CREDIT, "test")
        self.customer = self.app.gateway.ensure_customer(ACCOUNT, "Year", "owner@example.com")
        self.ledger.link_customer(ACCOUNT, self.customer)
        self.method = self.client.v1.payment_methods.attach("pm_card_visa", {"customer": self.customer}).id
        card = {"brand": "visa", "fingerprint": "f1"}
        self.ledger.set_default_payment_method(ACCOUNT, self.method, card, "test")
        self.consent()

    def consent(self) -> None:
        """The owner allows automatic charges at the price of the day."""
        wanted = {"enabled": True, "threshold": 50 * CREDIT, "package_id": "small", "text_version": "v1"}
        caps = {"day": 5_000, "month": 50_000, "per_hour": 5, "currency": "usd"}
        self.ledger.set_auto_topup(ACCOUNT, wanted | {"caps": caps}, "owner")

    def day(self, credits: float) -> None:
        """Usage of that many credits, whatever follows of it, and the night."""
        event = {"id": f"day-{next(self._ids)}", "account_id": ACCOUNT, "amount": int(credits * CREDIT)}
        assert self.ledger.record_usage([event])["accepted"] == 1
        topups.check_threshold(self.app, ACCOUNT)
        self.settle_down()
        age(self.connection, "1 day")
        self._stripe_ages()
        self.settle_down()

    def settle_down(self) -> None:
        """The sweep, the queue, Stripe's events, and what these enqueue."""
        maintenance.sweep(self.app)
        for _ in range(2):
            self._work()
            self._deliver()
        self._work()

    def _stripe_ages(self) -> None:
        engine = self.control._engine
        with engine.transaction():
            rows = engine.store.db.execute("select id, body from objects").fetchall()
            for row in rows:
                body = json.dumps(older(json.loads(row["body"])), separators=(",", ":"))
                engine.store.db.execute(
                    "update objects set body = ?, created = created - ? where id = ?", (body, DAY, row["id"])
                )
        self.control.expire_due()
        self.control.run_due()

    def buy(self, package: str, *, card: str = "4242424242424242") -> str:
        """A package through Checkout; the id of its PaymentIntent."""
        name = f"pay_{next(self._ids)}"
        payment = self.ledger.open_purchase(name, ACCOUNT, package, 1, self.customer)
        session = self.app.gateway.create_checkout_session(
            payment,
            customer_id=self.customer,
            product_name=package,
            success_url="https://app.test/ok",
            cancel_url="https://app.test/no",
        )
        self.ledger.attach_checkout_session(name, session["id"], session["url"])
        self.control.pay_checkout(session["id"], card=card)
        self.settle_down()
        paid = self.ledger.get_payment(name)
        assert paid is not None
        assert paid["status"] == "succeeded"
        return str(paid["stripe_payment_intent_id"])

    def last_topup(self) -> dict[str, Any]:
        """The newest automatic charge that succeeded, with its payment."""
        return self.query(
            "select t.*, p.stripe_charge_id, p.amount from billing.topups t join billing.payments p on p.id = t.payment_id"
            " where t.state = 'succeeded' order by t.created_at desc limit 1"
        )[0]

    def refund(self, intent: str, amount: int | None = None) -> None:
        query: Any = {"payment_intent": intent} | ({} if amount is None else {"amount": amount})
        self.client.v1.refunds.create(query)
        self.settle_down()

    @property
    def balance(self) -> float:
        return float(self.query("select balance from billing.credit_balances")[0]["balance"]) / CREDIT

    @property
    def paused(self) -> str | None:
        found = self.query("select paused_reason from billing.auto_topup_settings")[0]["paused_reason"]
        return None if found is None else str(found)

    # What was paid

    def money_at_stripe(self) -> Counter[str]:
        """By currency: what charges took, less what refunds and disputes gave back. Minor units."""
        kept: Counter[str] = Counter()
        query: Any = {"customer": self.customer, "limit": 100}
        charges = list(self.client.v1.charges.list(query).auto_paging_iter())
        for charge in charges:
            if charge.paid:
                kept[charge.currency] += charge.amount - charge.amount_refunded
        ours = {charge.id for charge in charges}
        for dispute in self.client.v1.disputes.list({"limit": 100}).auto_paging_iter():
            if str(dispute.charge) in ours:
                kept[dispute.currency] += sum(moved.amount for moved in dispute.balance_transactions)
        return kept

    def money_in_books(self) -> Counter[str]:
        """The same by payments, paid invoices and their reversals."""
        rows = self.query(
            "select currency::text, amount from billing.payments where status = 'succeeded'"
            " union all select currency::text, amount_paid from billing.invoices where status = 'paid'"
            " union all select coalesce(p.currency, i.currency)::text, -r.amount from billing.payment_reversals r"
            " left join billing.payments p on p.id = r.payment_id left join billing.invoices i on i.id = r.invoice_id"
            " where r.is_taken"
        )
        kept: Counter[str] = Counter()
        for row in rows:
            kept[row["currency"]] += int(row["amount"])
        return kept

    # What the credits are

    def statements(self) -> list[dict[str, Any]]:
        """Every month since the first entry, oldest first."""
        months = self.query(
            "select generate_series(date_trunc('month', min(created_at), 'UTC'), now(), '1 month')::date as month"
            " from billing.credit_transactions"
        )
        return [self.ledger.get_statement(ACCOUNT, row["month"]) for row in months]

    def unexplained(self) -> list[dict[str, Any]]:
        """Entries whose source is not a row that says as much."""
        return self.query(
            "select t.id, t.kind, t.source_kind, t.source_id, t.amount from billing.credit_transactions t"
            " left join billing.payments p on t.source_kind = 'payment' and p.id = t.source_id"
            " left join billing.subscription_grants g on t.source_kind = 'invoice_line' and g.id = t.source_id"
            " where not case t.kind"
            "   when 'signup' then t.amount = 50000000"
            "   when 'usage' then -t.amount = ("
            "     select sum(u.credits) from billing.credit_usage u where u.transaction_id = t.id)"
            "   when 'purchase' then p.purpose = 'purchase' and t.amount = p.credits and p.status = 'succeeded'"
            "   when 'topup' then p.purpose = 'topup' and t.amount = p.credits and p.status = 'succeeded'"
            "   when 'subscription' then t.amount = g.credits"
            "   when 'refund' then t.amount <> 0 and coalesce(p.id, g.id) is not null"
            "   when 'dispute' then t.amount <> 0 and coalesce(p.id, g.id) is not null"
            "   when 'plan_change' then t.amount < 0"
            "   when 'adjustment' then exists (select from billing.audit_log a where a.subject = t.source_id)"
            "   else false end"
        )
