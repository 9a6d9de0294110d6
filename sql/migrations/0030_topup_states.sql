-- A charge that was sent for confirmation ends only when Stripe says so: canceling is the way there, dead_at the end.
alter table billing.topups
  add column dead_at timestamptz,
  add column ends_as text check (ends_as in ('declined', 'canceled')),
  add column canceling_at timestamptz,
  add column claimed_by text collate "C";
comment on column billing.topups.dead_at is 'Since when this charge can take no (more) money: never sent, or Stripe said that its PaymentIntent succeeded, was declined, was canceled or does not exist. null: it counts as open, whatever state says.';
comment on column billing.topups.ends_as is 'canceling: the state that follows once Stripe has canceled.';
comment on column billing.topups.canceling_at is 'Since when the charge is being given up.';
comment on column billing.topups.claimed_by is 'The message whose worker holds the lease. The broker delivers it again when that worker died, and then the lease does not count.';
update billing.topups set dead_at = coalesce(finished_at, now()) where state in ('succeeded', 'declined', 'canceled');

-- squawk-ignore ban-drop-constraint
alter table billing.topups drop constraint topups_state_check;
-- Few rows, and nothing else writes them while a release is under way but short updates.
-- squawk-ignore constraint-missing-not-valid
alter table billing.topups add constraint topups_state_check check (state in
  ('open', 'processing', 'succeeded', 'declined', 'action_required', 'unknown', 'canceling', 'canceled'));

-- One live charge an account, by what Stripe has said and not by our word for it.
-- squawk-ignore require-concurrent-index-deletion
drop index billing.topups_one_open;
-- squawk-ignore require-concurrent-index-creation
create unique index topups_one_open on billing.topups (account_id) where dead_at is null;
-- squawk-ignore require-concurrent-index-deletion
drop index billing.topups_due;
-- squawk-ignore require-concurrent-index-creation
create index topups_due on billing.topups (next_attempt_at) where dead_at is null;

-- They get parameters with defaults; a second function of the same name would be ambiguous.
-- squawk-ignore ban-drop-function
drop function if exists billing.claim_topup(text);
-- squawk-ignore ban-drop-function
drop function if exists billing.begin_topup_charge(text);
-- squawk-ignore ban-drop-function
drop function if exists billing.attach_topup_intent(text, text);
