-- Refunds and disputes: what Stripe says of a payment after it was paid, and the credits that were taken back for it.
alter table billing.payments
  add column refunded_credits bigint not null default 0,
  add column disputed_credits bigint not null default 0,
  add column reversals_version bigint not null default 0;
comment on column billing.payments.refunded_credits is 'Credits taken back for refunds: the share of the price that is refunded, at most the grant.';
comment on column billing.payments.disputed_credits is 'Credits taken back for disputes, beyond those of refunds.';
comment on column billing.payments.reversals_version is 'Counts what was read of Stripe, so that an older reading never overwrites a newer one.';

create table billing.payment_reversals (
  id           text collate "C" primary key,
  account_id   text collate "C" not null references billing.accounts (id),
  payment_id   text collate "C" not null references billing.payments (id),
  kind         text not null check (kind in ('refund', 'dispute', 'fraud_warning')),
  amount       bigint not null check (amount >= 0),
  status       text not null,
  is_taken     boolean not null,
  is_open      boolean not null,
  reason       text,
  occurred_at  timestamptz not null,
  updated_at   timestamptz not null default now()
);
comment on table billing.payment_reversals is 'Stripe''s refunds, disputes and early fraud warnings of our payments, mirrored.';
comment on column billing.payment_reversals.is_taken is 'The money has left us, or is leaving: its share of the credits is taken back.';
comment on column billing.payment_reversals.is_open is 'A dispute that is not decided yet: the account may not spend, and is not charged automatically.';
create index payment_reversals_payment on billing.payment_reversals (payment_id);
create index payment_reversals_open on billing.payment_reversals (account_id) where is_open;
