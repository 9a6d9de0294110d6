"""`python -m local.currency_seed > sql/seed/0_currencies.sql`, after a change of shared/currencies.csv."""

from __future__ import annotations

from shared.currencies import CURRENCIES

_SEED = """\
-- Stripe's currencies, written by `python -m local.currency_seed` from shared/currencies.csv: change that one.
-- Facts of Stripe are brought up to date; own_minimum is the operator's and stays.
insert into billing.currencies
  (code, decimals, step, minimum, maximum, day_cap, month_cap, minimum_by)
values
{rows}
on conflict (code) do update set decimals = excluded.decimals, step = excluded.step, minimum = excluded.minimum,
  maximum = excluded.maximum, day_cap = excluded.day_cap, month_cap = excluded.month_cap, minimum_by = excluded.minimum_by;
"""


def seed() -> str:
    """The table as SQL."""
    rows = (
        f"  ('{row.code}', {', '.join(str(value) for value in row[1:-1])}, '{row.minimum_by}')"
        for row in CURRENCIES.values()
    )
    return _SEED.format(rows=",\n".join(rows))


if __name__ == "__main__":
    print(seed(), end="")
