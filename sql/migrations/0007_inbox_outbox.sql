-- What must happen is a row here first; the queue only says that there is one.
create table billing.stripe_events (
  id               text collate "C" primary key,
  type             text not null,
  object_id        text collate "C",
  livemode         boolean not null,
  api_version      text,
  payload          bytea not null,
  occurred_at      timestamptz,
  received_at      timestamptz not null default now(),
  state            text not null default 'received' check (state in ('received', 'done', 'ignored', 'parked')),
  reason           text,
  claims           integer not null default 0,
  deferrals        integer not null default 0,
  next_attempt_at  timestamptz not null default now(),
  finished_at      timestamptz
);
comment on column billing.stripe_events.payload is 'The body as it was signed: bytes, since jsonb refuses some strings that Stripe may send.';
comment on column billing.stripe_events.claims is 'How often a worker took it up without finishing. Known outages are deferrals and do not count.';
comment on column billing.stripe_events.next_attempt_at is 'Lease and back-off at once: a claim moves it ahead, so that a worker that died gives the row back by itself.';
create index stripe_events_due on billing.stripe_events (next_attempt_at) where state = 'received';
create index stripe_events_parked on billing.stripe_events (received_at) where state = 'parked';

create table billing.outbox (
  id               bigint generated always as identity primary key,
  account_id       text collate "C" not null,
  topic            text not null,
  dedupe_key       text collate "C" not null unique,
  payload          jsonb not null,
  state            text not null default 'pending' check (state in ('pending', 'sent', 'skipped', 'failed')),
  reason           text,
  claims           integer not null default 0,
  next_attempt_at  timestamptz not null default now(),
  created_at       timestamptz not null default now(),
  sent_at          timestamptz
);
create index outbox_due on billing.outbox (next_attempt_at) where state = 'pending';
create index outbox_account on billing.outbox (account_id, id);

create table billing.job_runs (
  job         text collate "C" not null,
  slot        timestamptz not null,
  fired_at    timestamptz not null default now(),
  started_at  timestamptz,
  finished_at timestamptz,
  result      jsonb,
  primary key (job, slot)
);
comment on table billing.job_runs is 'Periodic jobs by slot: the key lets a slot fire once, however many schedulers run.';

create table billing.idempotent_requests (
  caller       text collate "C" not null,
  key          text collate "C" not null check (length(key) between 1 and 255),
  fingerprint  uuid not null,
  status       integer,
  body         jsonb,
  lease_until  timestamptz not null,
  created_at   timestamptz not null default now(),
  primary key (caller, key)
);
comment on table billing.idempotent_requests is 'Answers of POSTs by Idempotency-Key. status null: in flight until lease_until.';
