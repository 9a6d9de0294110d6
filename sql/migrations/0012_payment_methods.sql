-- Saved payment methods: what Stripe says of them, mirrored, and which one is charged automatically.
create table billing.payment_methods (
  id                  text collate "C" primary key,
  account_id          text collate "C" not null references billing.accounts (id),
  stripe_customer_id  text collate "C" not null,
  brand               text,
  last4               text,
  exp_month           integer,
  exp_year            integer,
  fingerprint         text collate "C",
  is_attached         boolean not null default true,
  was_offered         boolean not null default false,
  expiry_announced    boolean not null default false,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now()
);
comment on table billing.payment_methods is 'Cards and other saved payment methods of our customers. Never a number. Detached ones stay, so that nothing brings them back.';
comment on column billing.payment_methods.fingerprint is 'Tells two saves of one card from two cards.';
comment on column billing.payment_methods.was_offered is 'A SetupIntent of ours saved it, and whether it becomes the default was decided then, once.';
create index payment_methods_account on billing.payment_methods (account_id);
create index payment_methods_expiring on billing.payment_methods ((exp_year * 12 + exp_month))
  where is_attached and not expiry_announced;

alter table billing.customers
  add column cards_version bigint not null default 0,
  add column stripe_default text collate "C";
comment on column billing.customers.cards_version is 'Counts what was read of the customer''s cards, so that an older reading never overwrites a newer one.';
comment on column billing.customers.stripe_default is 'The default payment method that Stripe had for the customer when it was read last. Ours follows when it changes.';

insert into billing.payment_methods
  (id, account_id, stripe_customer_id, brand, last4, exp_month, exp_year, fingerprint)
select c.default_payment_method, c.account_id, c.stripe_customer_id, c.card->>'brand', c.card->>'last4',
       (c.card->>'exp_month')::integer, (c.card->>'exp_year')::integer, c.card->>'fingerprint'
  from billing.customers c where c.default_payment_method is not null
on conflict (id) do nothing;
