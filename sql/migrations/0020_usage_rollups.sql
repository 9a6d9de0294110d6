-- Usage by day, kept beside the events, so that a page need not read a million of them. Spending writes none of it: the job
-- roll_up_usage adds what came since its last run, and usage_summary adds the events after that itself.
create table billing.usage_rollups (
  account_id    text collate "C" not null,
  grain         text not null check (grain in ('action', 'agent', 'member', 'department', 'run', 'all')),
  day           date not null,
  key           uuid not null,
  action        text,
  agent         text,
  department_id text,
  member_id     text,
  run_id        text,
  events        bigint not null,
  credits       bigint not null,
  primary key (account_id, grain, day, key)
);
comment on table billing.usage_rollups is 'Events and micro-credits of a day (UTC, when it happened), by one dimension, or by all but the run.';
comment on column billing.usage_rollups.key is 'Digest of the dimensions, which may be null, and longer together than an index takes.';

create table billing.usage_rollup_marks (
  account_id  text collate "C" primary key,
  usage_id    bigint not null
);
comment on column billing.usage_rollup_marks.usage_id is 'The last row of credit_usage that usage_rollups counts. Whoever writes usage holds the account''s lock from before the row gets its id until the commit, so what one statement sees of an account''s usage has no gap before its last row.';
