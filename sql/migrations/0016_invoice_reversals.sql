-- Refunds and disputes of subscription invoices: credits of their lines are taken back as those of payments are.
-- The table has a row a refund or dispute: small, so checking and indexing it is over at once.
-- squawk-ignore ban-drop-not-null
alter table billing.payment_reversals alter column payment_id drop not null;
alter table billing.payment_reversals add column invoice_id text collate "C";
alter table billing.payment_reversals
  add constraint payment_reversals_invoice_id_fkey foreign key (invoice_id) references billing.invoices (id) not valid,
  add constraint payment_reversals_of_one check (num_nonnulls(payment_id, invoice_id) = 1) not valid;
-- squawk-ignore constraint-missing-not-valid
alter table billing.payment_reversals validate constraint payment_reversals_invoice_id_fkey;
-- squawk-ignore constraint-missing-not-valid
alter table billing.payment_reversals validate constraint payment_reversals_of_one;
comment on table billing.payment_reversals is 'Stripe''s refunds, disputes and early fraud warnings of our payments and of our customers'' invoices, mirrored.';
-- squawk-ignore require-concurrent-index-creation
create index payment_reversals_invoice on billing.payment_reversals (invoice_id);

alter table billing.invoices add column reversals_version bigint not null default 0;
comment on column billing.invoices.reversals_version is 'As payments.reversals_version.';

alter table billing.payments add column forgone_credits bigint not null default 0;
comment on column billing.payments.forgone_credits is 'Credits that refunds and disputes ask for and that had expired before: they are gone, and are not taken again.';
alter table billing.subscription_grants
  add column refunded_credits bigint not null default 0,
  add column disputed_credits bigint not null default 0,
  add column forgone_credits bigint not null default 0;
comment on column billing.subscription_grants.refunded_credits is 'As payments.refunded_credits.';
comment on column billing.subscription_grants.disputed_credits is 'As payments.disputed_credits.';
comment on column billing.subscription_grants.forgone_credits is 'As payments.forgone_credits.';

create type billing.reversible as (
  payment_id  text,
  invoice_id  text,
  account_id  text,
  amount      bigint,
  currency    text,
  version     bigint
);
comment on type billing.reversible is 'What was paid at Stripe and may be refunded or disputed: a payment of ours or an invoice, never both.';
