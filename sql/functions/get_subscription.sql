-- The account's subscription to a plan, or null: the one that goes on, else the newest. Callers: service.
-- Raises RF001 unknown_account.
create or replace function billing.get_subscription(p_account_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  perform billing.get_account(p_account_id);
  return (
    select to_jsonb(s) - 'version' || jsonb_build_object('plan', s.plan_id, 'plan_name', p.name,
             'credits_per_cycle', p.credits_per_cycle * s.quantity, 'amount', p.amount, 'currency', p.currency,
             'interval', p.billing_interval, 'credits_expire', p.credits_expire, 'rollover_cap', p.rollover_cap)
      from billing.subscriptions s join billing.subscription_plans p on p.id = s.plan_id
     where s.account_id = p_account_id
     order by s.status in ('canceled', 'incomplete_expired'), s.started_at desc, s.id limit 1);
end $$;
