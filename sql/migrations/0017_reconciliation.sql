-- Reconciliation with Stripe: runs that can be taken up again where they stopped, and the differences that they could not
-- repair.
create table billing.reconciliations (
  id           text collate "C" primary key,
  kind         text not null check (kind in ('hourly', 'nightly', 'manual')),
  since        timestamptz not null,
  until        timestamptz not null,
  state        text not null default 'running' check (state in ('running', 'done', 'failed')),
  step         text not null,
  cursor       text,
  counts       jsonb not null default '{}',
  reason       text,
  claims       integer not null default 0,
  lease_until  timestamptz not null default now(),
  created_at   timestamptz not null default now(),
  finished_at  timestamptz,
  check (since < until)
);
comment on table billing.reconciliations is 'One row a run. step and cursor say how far it came, so that a killed run goes on instead of beginning anew.';
comment on column billing.reconciliations.since is 'The run looks at what Stripe made from here on, up to until.';
create index reconciliations_running on billing.reconciliations (lease_until) where state = 'running';
create unique index reconciliations_one_periodic on billing.reconciliations ((true)) where state = 'running' and kind <> 'manual';
create index reconciliations_newest on billing.reconciliations (created_at);

create table billing.reconciliation_differences (
  id             bigint generated always as identity primary key,
  subject        text collate "C" not null,
  reason         text not null,
  kind           text not null,
  account_id     text collate "C",
  details        jsonb not null default '{}',
  found_by       text collate "C" not null references billing.reconciliations (id),
  found_at       timestamptz not null default now(),
  seen_at        timestamptz not null default now(),
  resolved_at    timestamptz,
  resolution     text
);
comment on table billing.reconciliation_differences is 'What Stripe and the books say differently, and no repair could mend: a person decides. Resolved by itself when a later run finds both equal.';
create unique index reconciliation_differences_open on billing.reconciliation_differences (subject, reason) where resolved_at is null;

alter table billing.payments add column reconciled_at timestamptz;
comment on column billing.payments.reconciled_at is 'When reconciliation first saw this payment paid at Stripe as well.';
-- Writes of payments wait for as long as a second per million rows, once.
-- squawk-ignore require-concurrent-index-creation
create index payments_unreconciled on billing.payments (paid_at, id) where status = 'succeeded' and reconciled_at is null;
