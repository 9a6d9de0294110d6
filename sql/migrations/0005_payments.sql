-- Money: one row a payment of ours, written before Stripe is asked for anything.
create table billing.payments (
  id                          text collate "C" primary key,
  account_id                  text collate "C" not null references billing.accounts (id),
  purpose                     text not null check (purpose in ('purchase', 'topup')),
  package_id                  text collate "C" references billing.credit_packages (id),
  quantity                    integer not null default 1 check (quantity between 1 and 1000),
  credits                     bigint not null check (credits > 0),
  amount                      bigint not null check (amount between 1 and 99999999),
  currency                    billing.currency not null,
  status                      text not null default 'open'
                                check (status in ('open', 'processing', 'succeeded', 'failed', 'canceled', 'parked')),
  reason                      text,
  stripe_customer_id          text collate "C",
  stripe_checkout_session_id  text collate "C" unique,
  stripe_payment_intent_id    text collate "C" unique,
  stripe_charge_id            text collate "C",
  checkout_url                text,
  receipt_url                 text,
  next_check_at               timestamptz not null default 'infinity',
  checks                      integer not null default 0,
  created_at                  timestamptz not null default now(),
  paid_at                     timestamptz
);
comment on column billing.payments.amount is 'Minor units. Frozen with credits when the row is written; a payment that differs is parked.';
comment on column billing.payments.next_check_at is 'When the sweep asks Stripe for the outcome if no webhook has told it before.';
create index payments_account on billing.payments (account_id, created_at desc, id);
create index payments_due on billing.payments (next_check_at) where next_check_at < 'infinity';

create table billing.invoices (
  id            text collate "C" primary key,
  account_id    text collate "C" not null references billing.accounts (id),
  status        text not null,
  amount_due    bigint not null,
  amount_paid   bigint not null,
  currency      billing.currency not null,
  hosted_url    text,
  pdf_url       text,
  period_start  timestamptz,
  period_end    timestamptz,
  occurred_at   timestamptz not null,
  created_at    timestamptz not null default now()
);
comment on table billing.invoices is 'Stripe''s invoices, mirrored.';
create index invoices_account on billing.invoices (account_id, occurred_at desc);
