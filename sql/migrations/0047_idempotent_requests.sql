-- squawk-ignore-file require-concurrent-index-creation
-- (The table holds the requests of a week.)
-- The fingerprint of a request outlives its answer, for as long as what was made under the key.

alter table billing.idempotent_requests
  add column subject text collate "C",
  add column round integer not null default 1,
  add column answer_until timestamptz not null default 'infinity',
  add column forgotten_at timestamptz;
comment on column billing.idempotent_requests.subject is 'The id of what the request makes, derived from caller and key; null: nothing that lasts.';
comment on column billing.idempotent_requests.round is 'How many times the request was run for a new answer, after the one before was over.';
comment on column billing.idempotent_requests.answer_until is 'Until when the stored answer is of use: a Checkout Session closes.';
comment on column billing.idempotent_requests.forgotten_at is 'When the answer was dropped. The row stays as long as its subject: the key never makes, or answers, anything else.';
create index idempotent_requests_kept on billing.idempotent_requests (created_at) where forgotten_at is null;
