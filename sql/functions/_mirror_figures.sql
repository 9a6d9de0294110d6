-- Writes what Stripe says that a subscription costs, and what its next invoice charges and when, into its mirror. Without a
-- preview that is the sum of the items that renew first; nothing when it ends before, is over, or collects nothing. A price
-- without a whole amount a unit (tiers) leaves it unknown. Internal: the caller holds the account's lock.
-- p_item: the plan's item.
create or replace function billing._mirror_figures(p_facts jsonb, p_item jsonb, p_plan billing.subscription_plans)
  returns void
  language sql volatile security definer set search_path = '' as $$
  with next as (
    select min((i->>'period_end')::float8) as ends from jsonb_array_elements(p_facts->'items') i
     where p_facts->>'status' in ('active', 'trialing', 'past_due', 'incomplete') and p_facts->>'paused' is null
       and not (p_facts->>'cancel_at_period_end')::boolean
  ), due as (
    select n.ends, case when bool_and(i->>'unit_amount' is not null) then
             round(sum((i->>'unit_amount')::numeric * coalesce((i->>'quantity')::bigint, 1))) end as amount
      from next n join jsonb_array_elements(p_facts->'items') i on (i->>'period_end')::float8 = n.ends
     where coalesce((p_facts->>'cancel_at')::float8 > n.ends, true) group by n.ends
  )
  update billing.subscriptions s
     set items = (select jsonb_agg(i - 'period_start' - 'period_end' || jsonb_build_object('plan', (billing._item_plan(i)).id))
                    from jsonb_array_elements(p_facts->'items') i),
         price_id = p_item->>'price',
         unit_amount = case when (p_item->>'unit_amount')::numeric = trunc((p_item->>'unit_amount')::numeric)
                            then (p_item->>'unit_amount')::numeric::bigint end,
         currency = p_item->>'currency', billing_interval = p_item->>'interval',
         interval_count = (p_item->>'interval_count')::integer,
         cycle_share = coalesce(billing._whole_credits(p_plan, p_item || '{"quantity": 1}', p_item->>'currency')
           / nullif(p_plan.credits_per_cycle, 0), 1),
         next_at = (select to_timestamp(ends) from due),
         next_amount = case when exists (select from due)
           then coalesce((p_facts->'preview'->>'amount')::numeric, case when coalesce((p_facts->>'needs_preview')::boolean, false)
                            then null else (select amount from due) end)::bigint end,
         discount_amount = (p_facts->'preview'->>'discount')::bigint,
         is_previewed = coalesce(jsonb_typeof(p_facts->'preview') = 'object', false)
   where s.id = p_facts->>'id';
$$;
