-- Adjustments that wait for a second operator.
create table billing.adjustments (
  id            text collate "C" primary key,
  account_id    text collate "C" not null references billing.accounts (id),
  credits       bigint not null check (credits <> 0),
  reason        text not null,
  state         text not null default 'waiting' check (state in ('waiting', 'approved', 'rejected')),
  requested_by  text not null,
  requester     text not null,
  created_at    timestamptz not null default now(),
  decided_by    text,
  decider       text,
  note          text,
  decided_at    timestamptz,
  check ((state = 'waiting') = (decided_at is null)),
  check (decided_by <> requested_by)
);
comment on table billing.adjustments is 'Adjustments above ADJUSTMENT_APPROVAL_CREDITS. An approved one is booked under the same id; smaller ones are booked at once and have no row here.';
comment on column billing.adjustments.requested_by is 'Who was authenticated: an API key or an operator. The one who decides is another.';
comment on column billing.adjustments.requester is 'The same for people, with the name that was stated beside.';
create index adjustments_newest on billing.adjustments (created_at);
create index adjustments_account on billing.adjustments (account_id);
