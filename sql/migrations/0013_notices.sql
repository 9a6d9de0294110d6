-- Notices: what becomes of each by channel, endpoints of webhooks, what accounts switched off, levels of a low balance.
-- The version before keeps working on it: it writes notices as ever, and what it has not sent the next sweep takes over.
create table billing.notice_deliveries (
  id               bigint generated always as identity primary key,
  notice_id        bigint not null references billing.outbox (id),
  channel          text not null check (channel in ('mail', 'slack', 'webhook')),
  endpoint_id      text collate "C" check ((endpoint_id is not null) = (channel = 'webhook')),
  state            text not null default 'pending' check (state in ('pending', 'sent', 'skipped', 'failed')),
  reason           text,
  claims           integer not null default 0,
  next_attempt_at  timestamptz not null default now(),
  created_at       timestamptz not null default now(),
  sent_at          timestamptz,
  unique nulls not distinct (notice_id, channel, endpoint_id)
);
comment on table billing.notice_deliveries is 'One row a notice and receiver: mail, Slack, or an endpoint of webhooks. plan_notices() makes them.';
comment on column billing.notice_deliveries.endpoint_id is 'Without a foreign key: what was delivered to an endpoint that was deleted stays.';
comment on column billing.notice_deliveries.next_attempt_at is 'As stripe_events.next_attempt_at: lease and back-off at once.';
create index notice_deliveries_due on billing.notice_deliveries (next_attempt_at) where state = 'pending';
create index notice_deliveries_failed on billing.notice_deliveries (id) where state = 'failed';
create index notice_deliveries_endpoint on billing.notice_deliveries (endpoint_id, id) where endpoint_id is not null;
-- A worker of the version before that finishes a notice by its number must not meet a delivery with the same one.
select setval('billing.notice_deliveries_id_seq', (select coalesce(max(id), 0) + 1 from billing.outbox));
comment on column billing.outbox.state is 'pending: no deliveries yet. sent: handed to its deliveries, which say what became of it. The others are of versions before 0013.';

create table billing.webhook_endpoints (
  id               text collate "C" primary key,
  account_id       text collate "C" references billing.accounts (id),
  url              text not null check (url ~ '^https?://' and length(url) <= 2000),
  topics           text[],
  secret           text not null check (secret like 'whsec\_%'),
  previous_secret  text,
  previous_until   timestamptz,
  enabled          boolean not null default true,
  disabled_reason  text,
  failing_since    timestamptz,
  created_at       timestamptz not null default now()
);
comment on table billing.webhook_endpoints is 'Where notices go as signed webhooks. account_id null: those of every account (the platform). topics null: all.';
comment on column billing.webhook_endpoints.secret is 'In the clear, because signing needs it. Read by claim_notice() alone, and shown once, when it is made.';
comment on column billing.webhook_endpoints.previous_secret is 'Signs beside the new one until previous_until, so that a receiver may change over.';
comment on column billing.webhook_endpoints.failing_since is 'When the first delivery failed since the last one that succeeded.';
create index webhook_endpoints_account on billing.webhook_endpoints (account_id);

create table billing.notice_preferences (
  account_id  text collate "C" not null references billing.accounts (id),
  topic       text not null,
  channel     text not null check (channel = 'mail'),
  enabled     boolean not null,
  updated_at  timestamptz not null default now(),
  primary key (account_id, topic, channel)
);
comment on table billing.notice_preferences is 'What an account switched off or on again. Webhooks are chosen by the topics of their endpoint.';

alter table billing.accounts add column low_levels bigint[] not null default '{20000000,0}';
comment on column billing.accounts.low_levels is 'Balances that are announced when they are reached, micro-credits. Beside the hot row, which has only the next one.';
comment on column billing.credit_balances.low_threshold is 'The next level of accounts.low_levels to announce; -2^62 when none is left. Written by crossings, grants and set_low_levels().';
comment on column billing.credit_balances.low_since is 'Since when a level has been announced; null: at a grant or at the start, with the highest level armed.';
