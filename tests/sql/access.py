"""Who may read what, written down once more than in sql/policies.sql, and books in which everybody would find something."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tests.sql.books import CREDIT, Books

ROLES = ("anon", "authenticated", "service_role")
VERBS = ("select", "insert", "update", "delete", "truncate", "references", "trigger")
# The columns that a signed-in user may name, of the rows that the policies let through.
READABLE = {
    "account_members": "account_id user_id role created_at",
    "accounts": "id name created_at",
    "agent_action_costs": "action effective_from credits description account_id model rates unit effective_until",
    "auto_topup_settings": "account_id enabled threshold mode credits package_id currency cap_day cap_month cap_per_hour"
    " paused_reason next_attempt_at waiting_reason updated_at",
    "credit_balances": "account_id balance held overdraft status",
    "credit_holds": "account_id id parent_id state amount spent reserved settled action agent department_id member_id"
    " run_id expires_at created_at closed_at",
    "credit_limits": "account_id period scope scope_id credits hard used held window_start",
    "credit_lots": "account_id id kind source granted remaining is_open paid_amount currency priority expires_at created_at",
    "credit_packages": "id name credits amount currency active sort_order",
    "credit_transactions": "account_id id kind amount balance_after draws source_kind source_id occurred_at created_at",
    "credit_usage": "account_id id event_id transaction_id action quantity credits agent department_id member_id run_id"
    " dimensions metadata occurred_at created_at hold_id",
    "customers": "account_id default_payment_method",
    "invoices": "id account_id status amount_due amount_paid currency hosted_url pdf_url period_start period_end"
    " occurred_at number billing_reason subscription_id ending_balance",
    "payment_methods": "id account_id brand last4 exp_month exp_year is_attached created_at",
    "payments": "id account_id purpose package_id quantity credits amount discount currency status receipt_url created_at"
    " paid_at"
    " refunded_credits disputed_credits",
    "subscription_plans": "id name credits_per_cycle amount currency billing_interval active sort_order credits_expire"
    " rollover_cap interval_count",
    "subscriptions": "id account_id plan_id status quantity current_period_start current_period_end"
    " cancel_at_period_end cancel_at ended_at started_at items price_id unit_amount currency billing_interval interval_count"
    " cycle_share paused trial_end next_amount next_at discount_amount is_previewed",
    "topups": "id account_id payment_id state created_at finished_at",
}  # fmt: skip
# Nobody's but the functions': keys, secrets, the inbox and the outbox, the audit log, records, operators' tables and views.
HIDDEN = {
    "api_keys", "audit_log", "auto_topup_consents", "credit_hold_draws", "credit_usage_keys", "idempotent_requests",
    "job_runs", "outbox", "parked_usage", "payment_reversals", "schema_files", "stripe_events", "subscription_checkouts",
    "subscription_grants", "invoice_lines", "subscription_portions",
    "usage_exports", "notice_deliveries", "webhook_endpoints", "notice_preferences", "fee_rules",
    "member_sessions", "invitations", "adjustments", "usage_rollups", "usage_rollup_marks",
    "reconciliations", "reconciliation_differences", "foreign_intents", "stripe_refusals", "customer_requests",
    "currencies",
    "credit_draws", "current_action_costs", "ledger_entries",
}  # fmt: skip
# The views of schema api, with the column that names the account; none: the catalogue.
VIEWS = {
    "accounts": "id", "actions": None, "auto_topup": "account_id", "balance": "account_id", "holds": "account_id",
    "invoices": "account_id", "limits": "account_id", "lots": "account_id", "members": "account_id", "packages": None,
    "payment_methods": "account_id", "payments": "account_id", "plans": None, "subscription": "account_id",
    "topups": "account_id", "transactions": "account_id", "usage": "account_id", "usage_daily": "account_id",
}  # fmt: skip
# Functions that are no wrapper's: a trigger's, and what the policies ask.
UNWRAPPED = {"refuse_change", "my_accounts"}


@dataclass(frozen=True)
class Caller:
    """Somebody with a token: the role in PostgreSQL, the claims, and the accounts whose rows may be seen."""

    name: str
    role: str
    sub: str | None = None
    sees: tuple[str, ...] = ()
    owns: tuple[str, ...] = ()

    @property
    def claims(self) -> dict[str, Any]:
        return {"sub": self.sub} if self.sub else {}


def _user(number: int) -> str:
    return f"{number:08d}-6f3c-4f6e-9a53-0a2a5d8f6f10"


ANON = Caller("anon", "anon")
NOBODY = Caller("authenticated without a subject", "authenticated")
STRANGER = Caller("a member of nothing", "authenticated", _user(1))
MEMBER = Caller("a member", "authenticated", _user(2), ("a",))
ADMIN = Caller("an admin", "authenticated", _user(3), ("a",))
OWNER = Caller("an owner", "authenticated", _user(4), ("a",), ("a",))
BOTH = Caller("a member who owns another account", "authenticated", _user(5), ("a", "b"), ("b",))
SERVICE = Caller("the service", "service_role")
CALLERS = (ANON, NOBODY, STRANGER, MEMBER, ADMIN, OWNER, BOTH, SERVICE)
SIGNED_IN = tuple(caller for caller in CALLERS if caller.role == "authenticated")
MEMBERSHIPS = (
    ("a", MEMBER, "member"),
    ("a", ADMIN, "admin"),
    ("a", OWNER, "owner"),
    ("a", BOTH, "member"),
    ("b", BOTH, "owner"),
)


def is_hidden(relation: str) -> bool:
    """Whether nobody shall read it; partitions are read through their parent, invariants by check_invariants."""
    return relation in HIDDEN or bool(re.fullmatch(r"check_\w+|credit_usage_(default|\d{4}_\d{2})", relation))


def fill(books: Books) -> None:
    """Accounts "a" and "b" with the same: a row of each in every relation that a member reads."""
    for account in ("a", "b"):
        books.ledger.open_account(
            account, account.upper(), f"{account}@example.com", None, 100 * CREDIT, "test"
        )
        books.enable(account)
        books.place(5, "h", account=account)
        limit = {"scope": "agent", "scope_id": "x", "window": "day", "credits": 50 * CREDIT}
        books.ledger.set_limit(account, limit, "test")
        books.ledger.spend_credits(account, {"id": "e", "amount": 1_500_000, "agent": "x"})
        books.settle(books.buy(account))
        books.price("translate", account_id=account, credits=2_500_000,
                    rates={"tokens": {"credits": 3_000_000, "per": 1_000_000}})  # fmt: skip
    for account, caller, role in MEMBERSHIPS:
        books.query(
            "insert into billing.account_members (account_id, user_id, role) values (%s, %s, %s)",
            account, caller.sub, role,
        )  # fmt: skip
    books.query(
        "insert into billing.invoices (id, account_id, status, amount_due, amount_paid, currency, occurred_at)"
        " select 'in_' || id, id, 'paid', 1, 1, 'usd', now() from billing.accounts;"
        "insert into billing.subscriptions (id, account_id, plan_id, stripe_customer_id, status, quantity,"
        " cancel_at_period_end, started_at, version)"
        " select 'sub_' || id, id, 'pro', 'cus_' || id, 'active', 2, false, now(), 1 from billing.accounts;"
        "insert into billing.payment_methods (id, account_id, stripe_customer_id, brand, last4, fingerprint)"
        " select 'pm_' || id, id, 'cus_' || id, 'visa', '4242', 'fp_' || id from billing.accounts;"
        "update billing.customers set default_payment_method = 'pm_' || account_id;"
        "update billing.payments set checkout_url = 'https://checkout.example.com/' || id, reason = 'secret_' || account_id;"
        "insert into billing.payments (id, account_id, purpose, credits, amount, currency, stripe_customer_id)"
        " select 'pt_' || id, id, 'topup', 1000000, 5, 'usd', 'cus_' || id from billing.accounts;"
        "insert into billing.topups"
        " (id, account_id, payment_id, stripe_customer_id, payment_method, decline_code, consent_id, cause, cause_entry,"
        " opened_entry)"
        " select 'tu_' || a.id, a.id, 'pt_' || a.id, 'cus_' || a.id, 'pm_' || a.id, 'stolen_card', c.id,"
        " 'refused:' || a.id, 0, 0"
        " from billing.accounts a join billing.auto_topup_consents c on c.account_id = a.id"
    )
