-- The hot copy of the threshold in the balance row is the one in the settings.
create or replace view billing.check_topup_trigger with (security_invoker = true) as
select b.account_id, b.topup_trigger, s.threshold, s.enabled
  from billing.credit_balances b
  left join billing.auto_topup_settings s using (account_id)
 where b.topup_trigger is distinct from case when s.enabled then s.threshold end;
