-- What may be bought and what actions cost. Prices never come from a client.
create table billing.credit_packages (
  id          text collate "C" primary key,
  name        text not null,
  credits     bigint not null check (credits > 0),
  amount      bigint not null check (amount > 0),
  currency    billing.currency not null,
  active      boolean not null default true,
  sort_order  integer not null default 0
);
comment on column billing.credit_packages.amount is 'Price in minor units of the currency.';

create table billing.subscription_plans (
  id                text collate "C" primary key,
  name              text not null,
  credits_per_cycle bigint not null check (credits_per_cycle >= 0),
  amount            bigint not null check (amount >= 0),
  currency          billing.currency not null,
  billing_interval  text not null check (billing_interval in ('month', 'year')),
  stripe_product_id text,
  stripe_price_id   text,
  active            boolean not null default true,
  sort_order        integer not null default 0
);

create table billing.agent_action_costs (
  action          billing.external_id not null,
  effective_from  timestamptz not null default now(),
  credits         bigint not null check (credits > 0 and credits <= 1000000000000000),
  description     text,
  primary key (action, effective_from)
);
comment on table billing.agent_action_costs is 'What one unit of an action costs, by effective time. A new price is a new row; old rows stay, so that old debits remain explainable.';
