"""The command line: `flask --app web …`.

Each command calls one ledger function; expected errors end with a sentence.
"""

from __future__ import annotations

from flask import Flask

from web.cli import (
    accounts,
    dead_letters,
    fees,
    lots,
    notices,
    operations,
    payments,
    prices,
    reconciliation,
    revenue,
    spending,
    statements,
    usage_months,
)


def register(app: Flask) -> None:
    """Adds every command to the app."""
    for command in (
        operations.migrate,
        operations.check,
        operations.events,
        operations.topups,
        payments.payments,
        reconciliation.reconcile,
        reconciliation.differences,
        dead_letters.dead_letters,
        prices.actions,
        fees.fees,
        lots.lots,
        notices.notices,
        notices.webhooks,
        spending.holds,
        spending.limits,
        spending.usage,
        usage_months.usage_months,
        statements.statement,
        revenue.revenue,
        accounts.accounts,
        accounts.api_keys,
    ):
        app.cli.add_command(command)
