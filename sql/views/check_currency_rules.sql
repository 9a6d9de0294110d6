-- What is on sale or switched on can be charged by the rules of its currency: packages, plans, fee rules, auto top-up. Rows that
-- were stored before a rule changed, or before packages were sold in a second currency. Many accounts have the same settings:
-- each combination is looked at once.
create or replace view billing.check_currency_rules with (security_invoker = true) as
with settings as materialized (
  select distinct enabled, threshold, mode, credits, package_id, currency, cap_day, cap_month
    from billing.auto_topup_settings where enabled
), wrong as materialized (
  select s.*, billing._catalogue_fault('auto_topup_settings', to_jsonb(s)) as fault from settings s
)
select t.account_id, 'auto_topup_settings' as kind, t.account_id as id, w.fault
  from wrong w
  join billing.auto_topup_settings t
    on (t.enabled, t.threshold, t.mode, t.credits, t.currency, t.cap_day, t.cap_month)
     = (w.enabled, w.threshold, w.mode, w.credits, w.currency, w.cap_day, w.cap_month)
   and t.package_id is not distinct from w.package_id
 where w.fault is not null
union all
select null, r.kind, r.id, f.fault
  from (select 'credit_packages' as kind, p.id, to_jsonb(p) as row_json from billing.credit_packages p
        union all select 'subscription_plans', p.id, to_jsonb(p) from billing.subscription_plans p
        union all select 'fee_rules', p.id, to_jsonb(p) from billing.fee_rules p) r
  cross join lateral (select billing._catalogue_fault(r.kind, r.row_json) as fault) f
 where f.fault is not null;
