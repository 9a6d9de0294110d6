-- Keeps what was read of a subscription at Stripe. p_facts: id, customer, account (of its metadata), checkout, status,
-- cancel_at_period_end, cancel_at, ended_at, created, paused, trial_end, items [{price, product, quantity, unit_amount,
-- currency, interval, interval_count, period_start, period_end}], preview (null, or Stripe's of the next invoice: amount,
-- discount); times are epoch seconds. p_version is what get_mirror_version answered before; another reading since: stale,
-- nothing changes. Credits stay as they are, whatever becomes of it.
-- Callers: service. Answers an outcome: mirrored, stale, not_ours, parked.
create or replace function billing.mirror_subscription(p_version bigint, p_facts jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text := billing.find_customer_account(p_facts->>'customer') #>> '{}';
  v_plan    billing.subscription_plans;
  v_item    jsonb;
  v_end     timestamptz;
  v_figures boolean;
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
  select i.item into v_item
    from jsonb_array_elements(p_facts->'items') with ordinality as i (item, place)
   order by (billing._item_plan(i.item)).id is null, i.place limit 1;
  v_plan := billing._item_plan(v_item);
  v_figures := coalesce(v_item ? 'unit_amount', false);
  v_end := to_timestamp((v_item->>'period_end')::float8);
  insert into billing.subscriptions as s (id, account_id, plan_id, stripe_customer_id, status, quantity,
    current_period_start, current_period_end, cancel_at_period_end, cancel_at, ended_at, started_at, version, paused, trial_end)
  values (p_facts->>'id', v_account, v_plan.id, p_facts->>'customer', p_facts->>'status',
    coalesce((v_item->>'quantity')::bigint, 1), to_timestamp((v_item->>'period_start')::float8), v_end,
    -- The portal sets either, by the subscription's billing mode.
    (p_facts->>'cancel_at_period_end')::boolean
      or coalesce((p_facts->>'cancel_at')::float8 <= (v_item->>'period_end')::float8, false),
    to_timestamp((p_facts->>'cancel_at')::float8), to_timestamp((p_facts->>'ended_at')::float8),
    to_timestamp((p_facts->>'created')::float8), 1, p_facts->>'paused', to_timestamp((p_facts->>'trial_end')::float8))
  on conflict (id) do update set plan_id = excluded.plan_id, status = excluded.status, quantity = excluded.quantity,
    current_period_start = excluded.current_period_start, current_period_end = excluded.current_period_end,
    cancel_at_period_end = excluded.cancel_at_period_end, cancel_at = excluded.cancel_at, ended_at = excluded.ended_at,
    paused = excluded.paused, trial_end = excluded.trial_end, version = s.version + 1, updated_at = now();
  if v_figures then
    perform billing._mirror_figures(p_facts, v_item, v_plan);
  end if;
  update billing.subscription_checkouts set subscription_id = p_facts->>'id'
   where id = p_facts->>'checkout' and account_id = v_account and subscription_id is null;
  return jsonb_build_object('outcome', 'mirrored', 'account_id', v_account);
end $$;
