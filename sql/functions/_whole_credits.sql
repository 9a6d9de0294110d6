-- What one whole period at the price of an invoice line grants, times its quantity, micro-credits (unrounded). At the plan's
-- own cycle: credits_per_cycle, whatever the price, so that subscribers of an older price keep their cycle. At another cycle
-- (a yearly price of a monthly plan's product): by time or by money, whichever is less, so never beyond the plan's rate.
-- Internal. p_line: as in grant_invoice. p_currency: the invoice's.
create or replace function billing._whole_credits(p_plan billing.subscription_plans, p_line jsonb, p_currency text)
  returns numeric
  language sql immutable security definer set search_path = '' as $$
  select p_plan.credits_per_cycle::numeric * (p_line->>'quantity')::bigint * case
    when p_line->>'interval' is null
      or (p_line->>'interval', (p_line->>'interval_count')::integer) = (p_plan.billing_interval, p_plan.interval_count) then 1
    else least(billing._cycle_days(p_line->>'interval', (p_line->>'interval_count')::integer)
                 / billing._cycle_days(p_plan.billing_interval, p_plan.interval_count),
               case when p_plan.currency = p_currency then (p_line->>'unit_amount')::numeric / nullif(p_plan.amount, 0) end) end;
$$;
