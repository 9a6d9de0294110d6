-- Automatic top-up: what the account allowed, and one row a charge.
create table billing.auto_topup_settings (
  account_id       text collate "C" primary key references billing.accounts (id),
  enabled          boolean not null default false,
  threshold        bigint not null check (threshold >= 0),
  mode             text not null check (mode in ('fixed', 'target')),
  credits          bigint not null check (credits > 0),
  package_id       text collate "C" references billing.credit_packages (id),
  currency         billing.currency not null,
  cap_day          bigint not null check (cap_day > 0),
  cap_month        bigint not null check (cap_month >= cap_day),
  cap_per_hour     integer not null check (cap_per_hour between 1 and 10),
  declines         integer not null default 0,
  paused_reason    text,
  next_attempt_at  timestamptz,
  waiting_reason   text,
  updated_at       timestamptz not null default now()
);
comment on column billing.auto_topup_settings.credits is 'mode fixed: what one top-up adds. mode target: the balance a top-up fills up to.';
comment on column billing.auto_topup_settings.declines is 'Card declines in a row. Outages do not count.';

create table billing.auto_topup_consents (
  id            bigint generated always as identity primary key,
  account_id    text collate "C" not null references billing.accounts (id),
  actor         text not null,
  enabled       boolean not null,
  text_version  text,
  settings      jsonb not null,
  created_at    timestamptz not null default now()
);
comment on table billing.auto_topup_consents is 'Who allowed or withdrew automatic charges, when, with which limits, under which text. Append-only.';
create index auto_topup_consents_account on billing.auto_topup_consents (account_id, id);
create trigger _100_append_only before update or delete on billing.auto_topup_consents
  for each row execute function billing.refuse_change();
create trigger _200_no_truncate before truncate on billing.auto_topup_consents
  for each statement execute function billing.refuse_change();

create table billing.topups (
  id                        text collate "C" primary key,
  account_id                text collate "C" not null references billing.accounts (id),
  payment_id                text collate "C" not null unique references billing.payments (id),
  state                     text not null default 'open' check (state in
                              ('open', 'processing', 'succeeded', 'declined', 'action_required', 'unknown', 'canceled')),
  stripe_customer_id        text collate "C" not null,
  payment_method            text collate "C" not null,
  stripe_payment_intent_id  text collate "C" unique,
  decline_code              text,
  advice_code               text,
  reason                    text,
  claims                    integer not null default 0,
  next_attempt_at           timestamptz not null default now(),
  confirming_at             timestamptz,
  created_at                timestamptz not null default now(),
  finished_at               timestamptz
);
comment on table billing.topups is 'One row a charge. Its parameters are frozen here and in its payments row before Stripe is asked, so that a repeat sends the same.';
comment on column billing.topups.confirming_at is 'Set before the confirm call leaves: from then on money may have moved, and the PaymentIntent is the only thing to ask.';
-- One open charge an account. action_required counts: its PaymentIntent can still be confirmed by a person.
create unique index topups_one_open on billing.topups (account_id)
  where state in ('open', 'processing', 'unknown', 'action_required');
create index topups_due on billing.topups (next_attempt_at) where state in ('open', 'processing', 'unknown', 'action_required');
create index topups_account on billing.topups (account_id, created_at desc);
