-- The share of a whole period that an invoice line pays for, 0 to 1. By money: what it costs before discounts of what the
-- whole period costs; a coupon lowers the price of credits, not their number. A proration whose discount is inside of its
-- amount (billing_mode.flexible.proration_discounts = included, where discount_amounts are 0), or whose price has no single
-- unit amount, goes by time. Another line without a unit amount pays for its whole period.
-- Internal. p_line: as in grant_invoice.
create or replace function billing._line_share(p_plan billing.subscription_plans, p_line jsonb)
  returns numeric
  language plpgsql immutable security definer set search_path = '' as $$
declare
  v_price numeric := (p_line->>'unit_amount')::numeric * (p_line->>'quantity')::bigint;
  v_end   timestamp := to_timestamp((p_line->>'period_end')::float8) at time zone 'UTC';
  v_count integer := coalesce((p_line->>'interval_count')::integer, p_plan.interval_count);
  v_unit  text := coalesce(p_line->>'interval', p_plan.billing_interval);
begin
  if v_price > 0 and not ((p_line->>'proration')::boolean and coalesce((p_line->>'discount_inside')::boolean, false)) then
    return least(1, (p_line->>'gross')::numeric / v_price);
  elsif not (p_line->>'proration')::boolean then
    return 1;
  end if;
  return least(1, ((p_line->>'period_end')::numeric - (p_line->>'period_start')::numeric)
    / extract(epoch from v_end - (v_end - v_count * ('1 ' || v_unit)::interval)));
end $$;
