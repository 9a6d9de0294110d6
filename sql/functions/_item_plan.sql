-- The plan that an item of a subscription sells. p_item: as in mirror_subscription. Internal. Null when it is none of ours.
create or replace function billing._item_plan(p_item jsonb)
  returns billing.subscription_plans
  language sql stable security definer set search_path = '' as $$
  select billing._subscription_plan(p_item->>'price', p_item->>'product', p_item->>'interval',
    (p_item->>'interval_count')::integer, (p_item->>'unit_amount')::numeric);
$$;
