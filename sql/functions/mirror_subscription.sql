-- Keeps what was read of a subscription at Stripe. p_facts: id, customer, account (of its metadata), checkout, status,
-- cancel_at_period_end, cancel_at, ended_at, created, items [{price, product, quantity, period_start, period_end}]; times
-- are epoch seconds. p_version is what get_mirror_version answered before; another reading since: stale, nothing changes.
-- Credits stay as they are, whatever becomes of it. Callers: service. Answers an outcome: mirrored, stale, not_ours, parked.
create or replace function billing.mirror_subscription(p_version bigint, p_facts jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text := billing.find_customer_account(p_facts->>'customer') #>> '{}';
  v_item    record;
begin
  if v_account is null then
    return jsonb_build_object('outcome', 'not_ours', 'account_id', null);
  end if;
  if p_facts->>'account' <> v_account then
    return jsonb_build_object('outcome', 'parked', 'account_id', v_account);
  end if;
  perform billing._lock_account(v_account);
  if p_version <> (billing.get_mirror_version(p_facts->>'id'))::bigint then
    return jsonb_build_object('outcome', 'stale', 'account_id', v_account);
  end if;
  -- A subscription may sell other things besides; the item of a plan stands for it.
  select (billing._subscription_plan(i.price, i.product, i."interval", i.interval_count, i.unit_amount)).id as plan_id, i.* into v_item
    from rows from (jsonb_to_recordset(p_facts->'items')
           as (price text, product text, quantity bigint, period_start float8, period_end float8, "interval" text,
               interval_count integer, unit_amount numeric)) with ordinality
      as i (price, product, quantity, period_start, period_end, "interval", interval_count, unit_amount, place)
   order by (billing._subscription_plan(i.price, i.product, i."interval", i.interval_count, i.unit_amount)).id is null, i.place limit 1;
  insert into billing.subscriptions as s (id, account_id, plan_id, stripe_customer_id, status, quantity,
    current_period_start, current_period_end, cancel_at_period_end, cancel_at, ended_at, started_at, version)
  values (p_facts->>'id', v_account, v_item.plan_id, p_facts->>'customer', p_facts->>'status', coalesce(v_item.quantity, 1),
    to_timestamp(v_item.period_start), to_timestamp(v_item.period_end),
    -- The portal sets either, by the subscription's billing mode.
    (p_facts->>'cancel_at_period_end')::boolean or coalesce((p_facts->>'cancel_at')::float8 <= v_item.period_end, false),
    to_timestamp((p_facts->>'cancel_at')::float8), to_timestamp((p_facts->>'ended_at')::float8),
    to_timestamp((p_facts->>'created')::float8), 1)
  on conflict (id) do update set plan_id = excluded.plan_id, status = excluded.status, quantity = excluded.quantity,
    current_period_start = excluded.current_period_start, current_period_end = excluded.current_period_end,
    cancel_at_period_end = excluded.cancel_at_period_end, cancel_at = excluded.cancel_at, ended_at = excluded.ended_at,
    version = s.version + 1, updated_at = now();
  update billing.subscription_checkouts set subscription_id = p_facts->>'id'
   where id = p_facts->>'checkout' and account_id = v_account and subscription_id is null;
  return jsonb_build_object('outcome', 'mirrored', 'account_id', v_account);
end $$;
