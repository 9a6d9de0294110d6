-- The account's subscription to a plan, or null: the one that goes on, else the newest. What it costs and what is charged next
-- are Stripe's figures; the catalogue's only while it was never read with them. next_amount: after the customer's balance, as
-- of the newest invoice; null: nothing is charged, or only Stripe knows how much. Callers: service.
-- Raises RF001 unknown_account.
create or replace function billing.get_subscription(p_account_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  perform billing.get_account(p_account_id);
  return (
    select to_jsonb(s) - 'version' - 'billing_interval' - 'cycle_share' || jsonb_build_object('plan', s.plan_id, 'plan_name', p.name,
             'credits_per_cycle', floor(p.credits_per_cycle * s.quantity * s.cycle_share)::bigint,
             'amount', case when s.items is null then p.amount else s.unit_amount end,
             'currency', case when s.items is null then p.currency else s.currency end,
             'interval', case when s.items is null then p.billing_interval else s.billing_interval end,
             'interval_count', case when s.items is null then p.interval_count else s.interval_count end,
             'next_at', case when s.items is null and s.ended_at is null then s.current_period_end else s.next_at end,
             'next_amount', case when s.items is null and s.ended_at is null then p.amount * s.quantity
            when s.is_previewed then s.next_amount
               when s.next_amount is not null then greatest(0, s.next_amount + least(0, coalesce(b.ending_balance, 0))) end,
             'credits_expire', p.credits_expire, 'rollover_cap', p.rollover_cap)
      from billing.subscriptions s
      join billing.subscription_plans p on p.id = s.plan_id
      left join lateral (select i.ending_balance from billing.invoices i
                          where i.account_id = s.account_id and i.currency = s.currency and i.ending_balance is not null
                          order by i.occurred_at desc, i.id desc limit 1) b on true
     where s.account_id = p_account_id
     order by s.status in ('canceled', 'incomplete_expired'), s.started_at desc, s.id limit 1);
end $$;
