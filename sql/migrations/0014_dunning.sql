-- Dunning: what an account may still do while its automatic charges fail, and how long; and purchases that wait for their
-- card holder.
alter table billing.credit_balances
  add column grace_until timestamptz;
comment on column billing.credit_balances.grace_until is 'Until when the account may go on although its automatic charges have stopped; after it, it is paused. null: not dunned.';
-- Nothing is in it yet, so it is made as fast as the table is read.
-- squawk-ignore require-concurrent-index-creation
create index credit_balances_grace on billing.credit_balances (grace_until) where grace_until is not null;

alter table billing.auto_topup_settings
  add column is_dunned boolean not null default false,
  add column failing_since timestamptz;
comment on column billing.auto_topup_settings.is_dunned is 'The present stop has had its grace: the next one needs a stop of its own.';
comment on column billing.auto_topup_settings.failing_since is 'The first decline or card pause since a top-up last succeeded.';
-- squawk-ignore require-concurrent-index-creation
create index auto_topup_settings_stopped on billing.auto_topup_settings (account_id)
  where enabled and paused_reason is not null and not is_dunned;

alter table billing.payments
  add column action_required_at timestamptz;
comment on column billing.payments.action_required_at is 'When the bank first asked for the card holder of a purchase: it stays payable for a day then.';
