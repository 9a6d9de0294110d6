-- Why an automatic charge is made: a spend, and nothing else.
alter table billing.credit_balances
  add column topup_cause text collate "C",
  add column topup_cause_entry bigint,
  add column topup_spent_after bigint not null default 0;
comment on column billing.credit_balances.topup_cause is 'The spend that asks for a top-up at or below the threshold: entry:ID, hold:ID or refused:ID. null: none does, so no charge is due.';
comment on column billing.credit_balances.topup_cause_entry is 'The newest ledger entry of the account when the cause was noted.';
comment on column billing.credit_balances.topup_spent_after is 'The newest ledger entry when a refund, a dispute, an expiry or an adjustment last disarmed auto top-up: only spends after it arm it.';

alter table billing.topups
  add column cause text collate "C",
  add column cause_entry bigint,
  add column opened_entry bigint;
comment on column billing.topups.cause is 'As credit_balances.topup_cause, when the charge was opened.';
comment on column billing.topups.opened_entry is 'The newest ledger entry of the account when the charge was opened.';
