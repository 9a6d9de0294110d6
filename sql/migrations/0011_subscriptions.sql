-- Subscriptions as Stripe has them, their invoices, and the credits that paid invoice lines granted.
alter table billing.subscription_plans
  add column credits_expire boolean not null default false,
  add column rollover_cap bigint;
comment on column billing.subscription_plans.credits_expire is 'Credits of a cycle end with the paid period. Default: they stay.';
comment on column billing.subscription_plans.rollover_cap is 'What former cycles may leave at a renewal, micro-credits; the rest expires then. null: everything stays.';

create table billing.subscription_checkouts (
  id                          text collate "C" primary key,
  account_id                  text collate "C" not null references billing.accounts (id),
  plan_id                     text not null references billing.subscription_plans (id),
  credits_per_cycle           bigint not null,
  amount                      bigint not null check (amount > 0),
  currency                    billing.currency not null,
  billing_interval            text not null,
  stripe_price_id             text,
  stripe_product_id           text,
  stripe_customer_id          text collate "C" not null,
  stripe_checkout_session_id  text collate "C" unique,
  checkout_url                text,
  subscription_id             text collate "C",
  number                      bigint generated always as identity,
  created_at                  timestamptz not null default now()
);
comment on table billing.subscription_checkouts is 'What was asked of Stripe Checkout for a subscription, frozen before Stripe was asked. The newest of an account is the one that may be paid.';
create index subscription_checkouts_account on billing.subscription_checkouts (account_id, number);
create index subscription_checkouts_customer on billing.subscription_checkouts (stripe_customer_id);

create table billing.subscriptions (
  id                    text collate "C" primary key,
  account_id            text collate "C" not null references billing.accounts (id),
  plan_id               text references billing.subscription_plans (id),
  stripe_customer_id    text collate "C" not null,
  status                text not null,
  quantity              bigint not null,
  current_period_start  timestamptz,
  current_period_end    timestamptz,
  cancel_at_period_end  boolean not null,
  cancel_at             timestamptz,
  ended_at              timestamptz,
  started_at            timestamptz not null,
  version               bigint not null,
  created_at            timestamptz not null default now(),
  updated_at            timestamptz not null default now()
);
comment on table billing.subscriptions is 'Stripe''s subscriptions of our customers, mirrored; Refill never changes one.';
comment on column billing.subscriptions.plan_id is 'null: it sells none of our plans, and grants nothing.';
comment on column billing.subscriptions.version is 'Counts readings of Stripe, so that an older one never overwrites a newer one: Stripe gives subscriptions no time of change.';
create index subscriptions_account on billing.subscriptions (account_id, started_at);
create index subscriptions_customer on billing.subscriptions (stripe_customer_id);

alter table billing.invoices
  add column number text,
  add column billing_reason text,
  add column subscription_id text collate "C",
  add column version bigint not null default 0,
  add column updated_at timestamptz not null default now();
comment on column billing.invoices.version is 'As subscriptions.version.';

create table billing.subscription_grants (
  id                 text collate "C" primary key,
  account_id         text collate "C" not null references billing.accounts (id),
  invoice_id         text collate "C" not null references billing.invoices (id),
  subscription_id    text collate "C" not null,
  plan_id            text not null references billing.subscription_plans (id),
  credits_per_cycle  bigint not null,
  quantity           bigint not null,
  is_renewal         boolean not null,
  amount             bigint not null,
  currency           billing.currency not null,
  period_start       timestamptz not null,
  period_end         timestamptz not null,
  created_at         timestamptz not null default now()
);
comment on table billing.subscription_grants is 'One row an invoice line (il_…) that granted, with what its plan said at that time.';
create index subscription_grants_account on billing.subscription_grants (account_id, plan_id, period_start);
create index subscription_grants_invoice on billing.subscription_grants (invoice_id);
