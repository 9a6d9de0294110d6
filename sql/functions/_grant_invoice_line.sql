-- Grants what the plan of a paid invoice line says, times its quantity, once a line; then lets former cycles beyond the
-- plan's cap expire. Answers the credits granted, 0 when the line is of no plan or has granted before.
-- Internal: the caller holds the account's lock and has chosen the line. Raises RF008 invalid_value.
create or replace function billing._grant_invoice_line(p_account_id text, p_facts jsonb, p_line jsonb)
  returns bigint
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_plan    billing.subscription_plans := billing._subscription_plan(p_line->>'price', p_line->>'product');
  v_credits numeric := v_plan.credits_per_cycle::numeric * (p_line->>'quantity')::bigint;
  v_end     timestamptz := to_timestamp((p_line->>'period_end')::float8);
begin
  if v_plan.id is null or v_credits <= 0 then
    return 0;
  end if;
  if v_credits > 1000000000000000 then
    raise exception using errcode = 'RF008', message = 'An invoice line grants more credits than one movement may carry.';
  end if;
  insert into billing.subscription_grants (id, account_id, invoice_id, subscription_id, plan_id, credits_per_cycle, quantity,
    is_renewal, amount, currency, period_start, period_end)
  values (p_line->>'id', p_account_id, p_facts->>'id', p_facts->>'subscription', v_plan.id, v_plan.credits_per_cycle,
    (p_line->>'quantity')::bigint, p_facts->>'billing_reason' = 'subscription_cycle', (p_line->>'amount')::bigint,
    p_facts->>'currency', to_timestamp((p_line->>'period_start')::float8), v_end)
  on conflict (id) do nothing;
  if not found then
    return 0;
  end if;
  perform billing._post_grant(p_account_id, 'subscription', 'subscriptions', v_credits::bigint, 'invoice_line',
    p_line->>'id', (p_line->>'amount')::bigint, p_facts->>'currency',
    p_expires_at => case when v_plan.credits_expire then v_end else 'infinity' end,
    p_occurred_at => coalesce(to_timestamp((p_facts->>'paid_at')::float8), now()));
  perform billing._cap_rollover(p_account_id, v_plan.id);
  perform billing._notify(p_account_id, 'subscription.credits_granted', p_line->>'id', jsonb_build_object(
    'credits', v_credits::bigint, 'plan', v_plan.name, 'amount', (p_line->>'amount')::bigint,
    'currency', p_facts->>'currency', 'period_end', v_end, 'credits_expire', v_plan.credits_expire));
  return v_credits::bigint;
end $$;
