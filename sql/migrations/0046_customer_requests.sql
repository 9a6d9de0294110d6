-- What Stripe is asked to make a customer with, frozen under one idempotency key, and addresses that it refuses.

create table billing.customer_requests (
  account_id text collate "C" primary key references billing.accounts (id),
  attempt    integer not null default 1,
  name       text not null,
  email      text,
  is_done    boolean not null default false,
  started_at timestamptz not null default now()
);
comment on table billing.customer_requests is 'How an account''s customer is asked for at Stripe: name and address as they were first sent under the attempt''s idempotency key, until the customer is linked.';
comment on column billing.customer_requests.started_at is 'When the first attempt began: a customer that Stripe made without our learning is not older.';

alter table billing.accounts add column email_refused boolean not null default false;
comment on column billing.accounts.email_refused is 'Stripe refused the address: the customer has none, until it is corrected.';
