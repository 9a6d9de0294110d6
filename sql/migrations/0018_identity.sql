-- Sessions of people on the pages. A browser holds a random id; its SHA-256 stands here, and the tokens of Supabase beside it,
-- encrypted with a key that the database does not know.
create table billing.member_sessions (
  hash             bytea primary key check (length(hash) = 32),
  user_id          uuid not null,
  email            text check (length(email) between 3 and 320),
  account_id       text collate "C" references billing.accounts (id),
  tokens           bytea,
  token_expires_at timestamptz not null,
  refreshing_until timestamptz not null default '-infinity',
  created_at       timestamptz not null default now(),
  expires_at       timestamptz not null
);
create index member_sessions_expiry on billing.member_sessions (expires_at);
comment on table billing.member_sessions is 'Who is signed in on the pages. account_id is the account in view; tokens are null for the sign-in link of the local mode.';
comment on column billing.member_sessions.refreshing_until is 'Until then one request renews the tokens, and no other tries: a refresh token is good once.';
