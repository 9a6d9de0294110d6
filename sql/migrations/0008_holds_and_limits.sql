-- Reservations with nested budgets, and limits by department, member and agent. Written under the account's lock, like
-- the other hot tables without checks and foreign keys: see 0004.
create type billing.hold_state as enum ('open', 'settled', 'released', 'expired');

create table billing.credit_holds (
  account_id     text collate "C" not null,
  id             text collate "C" not null,
  parent_id      text collate "C",
  depth          smallint not null default 0,
  state          billing.hold_state not null default 'open',
  amount         bigint not null,
  spent          bigint not null default 0,
  reserved       bigint not null default 0,
  settled        bigint not null default 0,
  remaining      bigint generated always as
                   (case when state = 'open' then greatest(amount - spent, reserved) else 0 end) stored,
  action         text,
  quantity       bigint,
  dimensions     jsonb,
  agent          text,
  department_id  text,
  member_id      text,
  run_id         text,
  metadata       jsonb,
  subjects       text[] not null default '{}',
  covered        text[] not null default '{}',
  fingerprint    uuid not null,
  settlement     uuid,
  expires_at     timestamptz not null,
  created_at     timestamptz not null default now(),
  closed_at      timestamptz,
  primary key (account_id, id)
) with (fillfactor = 70);
comment on table billing.credit_holds is 'Reservations. A hold without a parent reserves from the account''s balance, a child from its parent: a run is a hold with a budget, its sub-runs are children.';
comment on column billing.credit_holds.amount is 'What it may cost, micro-credits.';
comment on column billing.credit_holds.spent is 'What was charged through it and its descendants.';
comment on column billing.credit_holds.settled is 'What was charged through it alone.';
comment on column billing.credit_holds.reserved is 'What its open children still hold of it.';
comment on column billing.credit_holds.remaining is 'What it holds of its parent, or of the account: more than amount - spent only when a child cost more than it had reserved.';
comment on column billing.credit_holds.subjects is 'The subjects of limits that its remainder counts against, e.g. agent:scout: its own, less those that an ancestor counts for already.';
comment on column billing.credit_holds.covered is 'Its own subjects and those of its ancestors.';
comment on column billing.credit_holds.settlement is 'Fingerprint of the settlement that closed it, so that a repeat is told from another one.';
create index credit_holds_expiry on billing.credit_holds (expires_at) where state = 'open';
create index credit_holds_children on billing.credit_holds (account_id, parent_id) where parent_id is not null;

create index credit_holds_newest on billing.credit_holds (account_id, created_at, id);

create table billing.credit_hold_draws (
  account_id      text collate "C" not null,
  hold_id         text collate "C" not null,
  draw_id         text collate "C" not null,
  fingerprint     uuid not null,
  credits         bigint not null,
  transaction_id  bigint,
  created_at      timestamptz not null default now(),
  primary key (account_id, hold_id, draw_id)
);
comment on table billing.credit_hold_draws is 'The idempotency keys of settlements that leave their hold open.';

alter table billing.credit_balances add column limited boolean not null default false;
comment on column billing.credit_balances.limited is 'Whether credit_limits has a row for the account, so that a spend of any other looks no further.';

alter table billing.credit_usage add column hold_id text;
comment on column billing.credit_usage.hold_id is 'The hold that it was charged through.';

create table billing.credit_limits (
  account_id     text collate "C" not null,
  subject        text collate "C" not null,
  period         text not null,
  scope          text not null,
  scope_id       text not null,
  credits        bigint not null,
  hard           boolean not null,
  used           bigint not null default 0,
  held           bigint not null default 0,
  window_start   timestamptz not null,
  announced_for  timestamptz,
  updated_at     timestamptz not null default now(),
  primary key (account_id, subject, period)
) with (fillfactor = 70);
comment on table billing.credit_limits is 'What a department, member or agent may spend in a day, week (from Monday) or month, UTC. A hard limit refuses, a soft one announces.';
comment on column billing.credit_limits.subject is 'scope:scope_id.';
comment on column billing.credit_limits.used is 'Spent in the window that began at window_start, by the time it happened.';
comment on column billing.credit_limits.held is 'What open holds may still spend, see credit_holds.subjects.';
comment on column billing.credit_limits.announced_for is 'The window whose limit was announced as reached.';
