-- The ledger. Every movement locks the account's credit_balances row first, and only the functions write.
-- The tables that a spend touches have neither foreign keys nor check constraints: a key check is one more row lock, and
-- PostgreSQL reads every check anew from the catalogue in every statement, which cost a third of a spend. Enums bound the
-- words, the functions the numbers, and the invariant views (sql/views/check_*) prove both.
create type billing.account_status as enum ('active', 'grace', 'paused');
create type billing.lot_kind as enum ('purchase', 'topup', 'subscription', 'signup', 'promotion', 'adjustment');
create type billing.counter_account as enum
  ('purchases', 'topups', 'subscriptions', 'promotions', 'usage', 'expiry', 'refunds', 'disputes', 'adjustments');

create table billing.credit_balances (
  account_id      text collate "C" primary key,
  balance         bigint not null default 0,
  held            bigint not null default 0,
  overdraft       bigint not null default 0,
  status          billing.account_status not null default 'active',
  next_expiry_at  timestamptz not null default 'infinity',
  low_threshold   bigint not null default 20000000,
  low_since       timestamptz,
  topup_trigger   bigint,
  topup_due_at    timestamptz
) with (fillfactor = 70);
comment on table billing.credit_balances is 'One row an account: the row that every movement locks first. No index covers a column that a spend changes, so spends stay heap-only updates.';
comment on column billing.credit_balances.balance is 'Sum of the account''s credit_transactions; negative when usage or reversals passed zero (debt).';
comment on column billing.credit_balances.topup_trigger is 'The auto top-up threshold while it is switched on, else null. Kept by arm_topup() alone.';
comment on column billing.credit_balances.topup_due_at is 'null: above the threshold. A time: below it, check from then on. infinity: a top-up is open or auto top-up is paused.';
create index credit_balances_topup_due on billing.credit_balances (topup_due_at) where topup_due_at < 'infinity';
create index credit_balances_expiry on billing.credit_balances (next_expiry_at) where next_expiry_at < 'infinity';

create table billing.credit_lots (
  account_id  text collate "C" not null,
  id          bigint generated always as identity,
  kind        billing.lot_kind not null,
  source      text collate "C" not null,
  granted     bigint not null,
  remaining   bigint not null,
  is_open     boolean not null,
  paid_amount bigint not null default 0,
  currency    billing.currency,
  is_paid     boolean not null,
  priority    smallint not null default 100,
  expires_at  timestamptz not null default 'infinity',
  created_at  timestamptz not null default now(),
  primary key (account_id, id),
  unique (account_id, source)
) with (fillfactor = 70);
comment on column billing.credit_lots.is_open is 'remaining > 0. A column of its own, so that the burn-order index changes only when a lot is used up.';
comment on column billing.credit_lots.source is 'What the grant came from, e.g. payment:pay_1. Unique, so that one source grants once, for ever.';
-- The burn order: priority, earliest expiry, promotional before paid, oldest.
create index credit_lots_burn_order on billing.credit_lots (account_id, priority, expires_at, is_paid, id) where is_open;

create type billing.lot_draw as (lot_id bigint, amount bigint);
comment on type billing.lot_draw is 'A movement of one lot, micro-credits: positive fills it, negative draws from it.';

create table billing.credit_transactions (
  account_id       text collate "C" not null,
  id               bigint generated always as identity,
  kind             text not null,
  counter_account  billing.counter_account not null,
  amount           bigint not null,
  balance_after    bigint not null,
  draws            billing.lot_draw[] not null default '{}',
  source_kind      text not null,
  source_id        text not null,
  occurred_at      timestamptz not null default now(),
  created_at       timestamptz not null default now(),
  primary key (account_id, id)
);
comment on table billing.credit_transactions is 'The ledger, append-only. A row moves its amount between the account''s wallet and one counter-account: positive into the wallet, negative out of it. See view ledger_entries for both legs.';
comment on column billing.credit_transactions.draws is 'Which lots the movement filled or drew. What they do not cover went to or came from debt.';
comment on column billing.credit_transactions.occurred_at is 'When it happened in the world; created_at is when it was booked.';
create trigger _100_append_only before update or delete on billing.credit_transactions
  for each row execute function billing.refuse_change();
create trigger _200_no_truncate before truncate on billing.credit_transactions
  for each statement execute function billing.refuse_change();

create table billing.credit_usage_keys (
  account_id      text collate "C" not null,
  event_id        text collate "C" not null,
  fingerprint     uuid not null,
  transaction_id  bigint not null,
  credits         bigint not null,
  primary key (account_id, event_id)
);
comment on table billing.credit_usage_keys is 'The idempotency key of every usage event, for ever. Apart from credit_usage, because a unique key of a table partitioned by month would hold within a month only.';

create table billing.credit_usage (
  account_id      text collate "C" not null,
  id              bigint generated always as identity,
  event_id        text collate "C" not null,
  transaction_id  bigint not null,
  action          text,
  quantity        bigint not null,
  credits         bigint not null,
  agent           text,
  department_id   text,
  member_id       text,
  run_id          text,
  dimensions      jsonb,
  metadata        jsonb,
  occurred_at     timestamptz not null,
  created_at      timestamptz not null default now(),
  primary key (account_id, id, created_at)
) partition by range (created_at);
comment on table billing.credit_usage is 'One row a usage event, by month of booking.';
create table billing.credit_usage_default partition of billing.credit_usage default;
alter table billing.credit_usage_default enable row level security;

create table billing.parked_usage (
  id          bigint generated always as identity primary key,
  account_id  text collate "C",
  event_id    text,
  code        text not null,
  event       jsonb not null,
  created_at  timestamptz not null default now(),
  resolved_at timestamptz
);
comment on table billing.parked_usage is 'Usage that came by queue and could not be booked, with the reason. Nobody waits for an answer there, so it is kept for an operator.';

create type billing.usage_line as (
  index        bigint,
  account_id   text,
  account_no   integer,
  event_id     text,
  fingerprint  uuid,
  credits      bigint,
  quantity     bigint,
  occurred_at  timestamptz,
  event        jsonb,
  code         text
);
comment on type billing.usage_line is 'One event of a batch on its way through record_usage. account_no numbers the accounts of the lines to book; code says why a line is not booked.';

-- An operator's correction is booked once.
create unique index credit_transactions_adjustment on billing.credit_transactions (account_id, source_id)
  where source_kind = 'adjustment';
