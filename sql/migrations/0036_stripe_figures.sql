-- squawk-ignore-file adding-field-with-default
-- What Stripe says that a subscription costs, and what the price of a plan is there: shown instead of the catalogue's figures.
alter table billing.subscriptions
  add column items jsonb,
  add column price_id text,
  add column unit_amount bigint,
  add column currency billing.currency,
  add column billing_interval text,
  add column interval_count integer,
  add column cycle_share numeric not null default 1,
  add column paused text,
  add column trial_end timestamptz,
  add column next_amount bigint,
  add column next_at timestamptz,
  add column discount_amount bigint,
  add column is_previewed boolean not null default false;
comment on column billing.subscriptions.items is 'Its items as Stripe has them: [{price, product, plan, unit_amount, currency, interval, interval_count, quantity}]. null: not read with its figures yet. The columns beside it are those of the plan''s item.';
comment on column billing.subscriptions.unit_amount is 'Of one unit, minor units. null: the price has no single amount (tiers, fractions of a minor unit).';
comment on column billing.subscriptions.cycle_share is 'What a cycle at this price grants of the plan''s credits_per_cycle: other than 1 when the price has another cycle than the plan.';
comment on column billing.subscriptions.paused is 'pause_collection.behavior: invoices are made, and not collected.';
comment on column billing.subscriptions.next_amount is 'What the next invoice charges, minor units, before the customer''s balance unless is_previewed. null: nothing, or only Stripe knows.';
comment on column billing.subscriptions.discount_amount is 'What coupons take off it. null: none, or only Stripe knows.';
comment on column billing.subscriptions.is_previewed is 'next_amount is of Stripe''s own preview, with discounts, tax and balance; else the sum of the items.';

alter table billing.invoices add column ending_balance bigint;
comment on column billing.invoices.ending_balance is 'The customer''s balance after this invoice, minor units: below zero is money that pays the next ones.';

alter table billing.subscription_plans
  add column stripe_price jsonb,
  add column stripe_price_at timestamptz,
  add column mismatch_noticed text;
comment on column billing.subscription_plans.stripe_price is 'Stripe''s price when it was last read: {id, missing, active, livemode, type, product, unit_amount, currency, interval, interval_count, usage_type}.';
comment on column billing.subscription_plans.mismatch_noticed is 'The disagreement of row and price that operators were last notified of.';
