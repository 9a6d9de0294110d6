-- The currency that an account pays in: that of its auto top-up's caps; else the one that it has paid in most often, of equals
-- the one that it paid in first; else that of its subscription; else the only one that packages are sold in. null: nobody
-- knows, and it has to be said. A purchase in another currency changes nothing until it is the rule. Internal.
create or replace function billing._account_currency(p_account_id text)
  returns text
  language sql stable security definer set search_path = '' as $$
  select coalesce(
    (select s.currency::text from billing.auto_topup_settings s where s.account_id = p_account_id),
    (select currency from (
       select p.currency::text, p.paid_at as at from billing.payments p
        where p.account_id = p_account_id and p.status = 'succeeded'
       union all
       select i.currency::text, i.occurred_at from billing.invoices i
        where i.account_id = p_account_id and i.status = 'paid' and i.amount_paid > 0) paid
     group by currency order by count(*) desc, min(at) limit 1),
    (select n.currency::text from billing.subscriptions s join billing.subscription_plans n on n.id = s.plan_id
      where s.account_id = p_account_id and s.ended_at is null order by s.started_at limit 1),
    (select min(p.currency::text) from billing.credit_packages p where p.active having count(distinct p.currency::text) = 1));
$$;
