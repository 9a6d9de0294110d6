-- squawk-ignore-file require-concurrent-index-creation, adding-field-with-default, constraint-missing-not-valid
-- Plans that are paid for a long cycle and grant in portions: a year that grants each month.
alter table billing.subscription_plans add column grant_interval text;
alter table billing.subscription_plans
  add constraint subscription_plans_grant_interval_check check (grant_interval in ('day', 'week', 'month'));
comment on column billing.subscription_plans.grant_interval is 'credits_per_cycle come in equal portions, one at the beginning of each such interval of the paid period. null: all at once.';

create table billing.subscription_portions (
  line_id        text collate "C" not null references billing.invoice_lines (id),
  number         integer not null check (number > 0),
  account_id     text collate "C" not null references billing.accounts (id),
  credits        bigint not null check (credits >= 0),
  amount         bigint not null check (amount >= 0),
  due_at         timestamptz not null,
  ends_at        timestamptz not null,
  state          text not null default 'waiting' check (state in ('waiting', 'granted', 'stopped')),
  reason         text,
  facts          jsonb not null,
  line           jsonb not null,
  updated_at     timestamptz not null default now(),
  primary key (line_id, number)
);
comment on table billing.subscription_portions is 'What a paid line grants and when: planned when the line is paid, granted when due, stopped when its money went back.';
comment on column billing.subscription_portions.amount is 'The part of the line''s amount that pays for this portion, minor units.';
comment on column billing.subscription_portions.reason is 'Why it was stopped: refunded, disputed or replaced.';
create index subscription_portions_due on billing.subscription_portions (due_at) where state = 'waiting';
create index subscription_portions_account on billing.subscription_portions (account_id);

alter table billing.subscription_grants add column line_id text collate "C";
update billing.subscription_grants set line_id = id;
comment on column billing.subscription_grants.line_id is 'The invoice line: its id, or the line of which it is a portion.';
