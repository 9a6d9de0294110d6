-- What an open dispute or inquiry freezes, and what an operator has lifted.
alter table billing.payment_reversals
  add column freeze_on text not null default 'dispute' check (freeze_on in ('dispute', 'inquiry', 'never')),
  add column lifted_stage text check (lifted_stage in ('inquiry', 'dispute')),
  add column lifted_at timestamptz,
  add column lifted_by text,
  add column lift_reason text,
  add column recorded_at timestamptz;
alter table billing.payment_reversals alter column recorded_at set default clock_timestamp();
comment on column billing.payment_reversals.is_open is 'A dispute or an inquiry that is not decided yet: the account is not charged automatically, and may not spend if it freezes (_freezes).';
comment on column billing.payment_reversals.freeze_on is 'The setting FREEZE_ON when it was last read: what freezes, a dispute, an inquiry as well, or neither.';
comment on column billing.payment_reversals.lifted_stage is 'An operator lifted its freeze: as an inquiry or as a dispute. An inquiry that becomes a dispute freezes again.';
comment on column billing.payment_reversals.recorded_at is 'When it was written here, by the clock and under the account''s lock. null: before this column.';
