-- What is on sale or switched on can be charged by the rules of its currency: packages, plans, fee rules, auto top-up. Rows that
-- were stored before a rule changed, or before packages were sold in a second currency.
create or replace view billing.check_currency_rules with (security_invoker = true) as
select r.account_id, r.kind, r.id, f.fault
  from (select null as account_id, 'credit_packages' as kind, p.id, to_jsonb(p) as row_json from billing.credit_packages p
        union all select null, 'subscription_plans', p.id, to_jsonb(p) from billing.subscription_plans p
        union all select null, 'fee_rules', p.id, to_jsonb(p) from billing.fee_rules p
        union all select p.account_id, 'auto_topup_settings', p.account_id, to_jsonb(p) from billing.auto_topup_settings p where p.enabled) r
  cross join lateral (select billing._catalogue_fault(r.kind, r.row_json) as fault) f
 where f.fault is not null;
