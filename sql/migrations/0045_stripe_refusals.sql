-- What Stripe refused and only an operator can correct: a row a cause.

create table billing.stripe_refusals (
  cause       text collate "C" primary key,
  code        text collate "C" not null,
  account_id  text collate "C" not null,
  details     jsonb not null,
  times       bigint not null default 1,
  first_at    timestamptz not null default now(),
  last_at     timestamptz not null default now()
);
comment on table billing.stripe_refusals is 'Refusals of Stripe that only an operator can act on, by cause: code, Stripe''s code, parameter. The newest details.';
comment on column billing.stripe_refusals.account_id is 'The account whose request met it last; empty when it was none''s.';
