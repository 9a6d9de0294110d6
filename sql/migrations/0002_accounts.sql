-- Who owns credits, who acts for them, and which Stripe customer pays.
create table billing.accounts (
  id          text collate "C" primary key check (id ~ '^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,99}$'),
  name        text not null check (length(name) between 1 and 200),
  email       text check (length(email) between 3 and 320),
  created_at  timestamptz not null default now()
);
comment on table billing.accounts is 'An organisation, or a person''s own account. Every billing object hangs on an account, never on a user.';

create table billing.account_members (
  account_id  text collate "C" not null references billing.accounts (id),
  user_id     uuid not null,
  role        text not null check (role in ('owner', 'admin', 'member')),
  created_at  timestamptz not null default now(),
  primary key (account_id, user_id)
);
create index account_members_user on billing.account_members (user_id);
comment on table billing.account_members is 'Supabase users that act for an account. user_id is auth.users.id; no foreign key, so that deleting a user keeps the books.';

create table billing.customers (
  account_id             text collate "C" primary key references billing.accounts (id),
  stripe_customer_id     text collate "C" not null unique,
  default_payment_method text collate "C",
  card                   jsonb,
  deleted_at             timestamptz,
  created_at             timestamptz not null default now()
);
comment on column billing.customers.card is 'Brand, last4, exp_month, exp_year and fingerprint of the default payment method. Never a card number.';

create table billing.api_keys (
  id           text collate "C" primary key,
  name         text not null check (length(name) between 1 and 100),
  prefix       text collate "C" not null unique,
  hash         bytea not null unique check (length(hash) = 32),
  scopes       text[] not null check (cardinality(scopes) > 0
                 and scopes <@ array['accounts', 'spend', 'usage', 'price', 'read', 'admin']),
  account_id   text collate "C" references billing.accounts (id),
  created_at   timestamptz not null default now(),
  revoked_at   timestamptz
);
comment on table billing.api_keys is 'Keys of platforms. Only the SHA-256 of a key is kept; account_id binds a key to one account.';

create table billing.audit_log (
  id          bigint generated always as identity primary key,
  account_id  text collate "C",
  actor       text not null,
  action      text not null,
  subject     text,
  details     jsonb not null default '{}',
  created_at  timestamptz not null default now()
);
create index audit_log_account on billing.audit_log (account_id, id);
create trigger _100_append_only before update or delete on billing.audit_log
  for each row execute function billing.refuse_change();
create trigger _200_no_truncate before truncate on billing.audit_log
  for each statement execute function billing.refuse_change();
