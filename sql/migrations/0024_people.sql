-- What is known of members: the mail address that they sign in with, and which account each had in view last. Both stand at
-- the membership, so that they end with it. And invitations by mail.
alter table billing.account_members add column email text;
alter table billing.account_members add column viewed_at timestamptz;
comment on column billing.account_members.email is 'From the verified token of the last sign-in on the pages; null before the first. Goes with the membership.';
comment on column billing.account_members.viewed_at is 'When the account came into the person''s view; a new session begins in the latest one.';

create table billing.invitations (
  id           text collate "C" primary key,
  account_id   text collate "C" not null references billing.accounts (id),
  email        text check (length(email) between 3 and 320),
  role         text not null check (role in ('owner', 'admin', 'member')),
  state        text not null default 'open' check (state in ('open', 'accepted', 'withdrawn')),
  invited_by   text not null,
  accepted_by  uuid,
  created_at   timestamptz not null default now(),
  expires_at   timestamptz not null default now() + interval '7 days',
  check ((state = 'open') = (email is not null)),
  check ((state = 'accepted') = (accepted_by is not null))
);
comment on table billing.invitations is 'Who may become a member by a link in a mail. The address is dropped when the invitation is accepted or withdrawn, the row a week after it has expired.';
comment on column billing.invitations.email is 'Where the link was mailed to. Having the link is what counts, not with which address somebody signs in.';
create index invitations_account on billing.invitations (account_id, created_at);
create index invitations_expiry on billing.invitations (expires_at);
