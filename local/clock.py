"""Time that passes: every time in the books becomes older, so that the database's own clock seems to have moved on."""

from __future__ import annotations

from typing import Any

import psycopg

# Slots of jobs and prices are keyed by their time; months of usage have to stay in their partitions, and windows of limits
# begin with a day.
TIMELESS = (
    "job_runs.slot",
    "agent_action_costs.effective_from",
    "agent_action_costs.effective_until",
    "credit_usage.created_at",
    "credit_usage.occurred_at",
    "credit_limits.window_start",
    "credit_limits.announced_for",
)

# As the owner of the tables may: no trigger looks at it, and what only grows becomes older all the same.
_MAKE = """
do $make$ begin
  execute (
    select 'create function pg_temp.{name}(p_by interval) returns void language plpgsql'
           ' set session_replication_role = replica as $age$ begin '
           || string_agg(format('update billing.%I set %s;', t, sets), ' ') || ' end $age$'
      from (select c.relname as t, string_agg(format('%1$I = %1$I - p_by', a.attname), ', ') as sets
              from pg_attribute a join pg_class c on c.oid = a.attrelid
             where c.relnamespace = 'billing'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
               and a.atttypid = 'timestamptz'::regtype and a.attnum > 0 and not a.attisdropped
               and c.relname || '.' || a.attname <> all ({timeless}) and c.relname <> all ({spared})
             group by c.relname) columns);
end $make$
"""


def age(connection: psycopg.Connection[Any], interval: str, spared: tuple[str, ...] = ()) -> None:
    """Makes every time in schema billing older by a PostgreSQL interval; infinity stays what it is.

    spared: tables that keep theirs, because they are long and nothing asks for their age.
    """
    name = "_".join(("age", *spared))
    made = connection.execute("select to_regprocedure(%s)", [f"pg_temp.{name}(interval)"]).fetchone()
    if made is None or made[0] is None:
        make = _MAKE.replace("{name}", name)
        for slot, names in (("{timeless}", TIMELESS), ("{spared}", spared)):
            make = make.replace(slot, "array[" + ", ".join(f"'{value}'" for value in names) + "]::text[]")
        connection.execute(make.encode())
    connection.execute(f"select pg_temp.{name}(%s::interval)".encode(), [interval])
