-- Why an automatic charge is made: a spend, and nothing else.
alter table billing.credit_balances
  add column topup_cause text collate "C",
  add column topup_cause_entry bigint;
comment on column billing.credit_balances.topup_cause is 'The spend that left the account at or below its top-up threshold: entry:ID, hold:ID or refused:ID. null: nothing was spent there since credits last moved down for another reason, so no charge is due.';
comment on column billing.credit_balances.topup_cause_entry is 'The newest ledger entry of the account when the cause was noted.';

alter table billing.topups
  add column cause text collate "C",
  add column cause_entry bigint,
  add column opened_entry bigint;
comment on column billing.topups.cause is 'As credit_balances.topup_cause, when the charge was opened.';
comment on column billing.topups.opened_entry is 'The newest ledger entry of the account when the charge was opened.';
