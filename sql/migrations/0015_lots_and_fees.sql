-- squawk-ignore-file require-concurrent-index-creation, ban-drop-not-null
-- (Partial indexes that few rows enter; and the version before always writes the payload.)

-- Lots that expire are announced; fees and taxes beside the price of credits; what is kept only for a while.
alter table billing.credit_lots add column expiry_announced boolean not null default false;
comment on column billing.credit_lots.expiry_announced is 'The account was told of expires_at. False again when the lot is extended.';
-- A spend changes neither column, and is_open only when a lot is used up, which leaves this index as it leaves the burn order.
create index credit_lots_expiring on billing.credit_lots (expires_at, account_id)
  where is_open and not expiry_announced and expires_at < 'infinity';

create table billing.fee_rules (
  id          text collate "C" primary key check (id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$'),
  kind        text not null check (kind in ('fee', 'tax')),
  label       text not null check (length(label) between 1 and 100),
  applies_to  text not null check (applies_to in ('purchase', 'topup', 'both')),
  currency    billing.currency,
  percent     numeric(7, 4) not null default 0 check (percent between 0 and 100),
  fixed       bigint not null default 0 check (fixed between 0 and 99999999),
  active      boolean not null default true,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  check (percent > 0 or fixed > 0)
);
comment on table billing.fee_rules is 'What a charge for credits costs beside them. Taxes are computed on the credits and the fees.';
comment on column billing.fee_rules.currency is 'null: payments of every currency.';
comment on column billing.fee_rules.fixed is 'Minor units of the payment''s currency.';

alter table billing.payments
  add column net_amount bigint,
  add column lines jsonb;
comment on column billing.payments.amount is 'What is charged, minor units: credits, fees and taxes. Frozen with credits when the row is written; a payment that differs is parked.';
comment on column billing.payments.net_amount is 'The price of the credits alone, minor units. null: the version before wrote the row, and it is amount.';
comment on column billing.payments.lines is 'What amount is made of: [{kind: credits, fee or tax, label, amount}]. null as in net_amount.';
update billing.payments set net_amount = amount;

-- Finished events lose their payload after a while; the row stays, so that a duplicate is still known as one.
alter table billing.stripe_events alter column payload drop not null;
comment on column billing.stripe_events.payload is 'The body as it was signed: bytes, since jsonb refuses some strings that Stripe may send. null: pruned after RETENTION_DAYS.';
create index stripe_events_finished on billing.stripe_events (finished_at)
  where payload is not null and state in ('done', 'ignored');
create index idempotent_requests_finished on billing.idempotent_requests (created_at) where status is not null;
