-- squawk-ignore-file adding-foreign-key-constraint, constraint-missing-not-valid
-- (The column is new and empty, so nothing is read to check it.)
-- The price that was agreed to with a consent to automatic charges, and the consent that a charge was made under.
alter table billing.auto_topup_consents add column price jsonb;
comment on column billing.auto_topup_consents.price is 'What was agreed: package_id, its credits, amount, currency and step; rules, the fees and taxes of then; least_credits and lines, the smallest charge that was shown. null: switched off.';
alter table billing.topups
  add column consent_id bigint constraint topups_consent references billing.auto_topup_consents (id);
comment on column billing.topups.consent_id is 'The consent in force when the charge was opened.';
