-- Keeps what Stripe says of a plan's price, and notifies the operators once when it disagrees with the row. p_price: id, and
-- missing, or active, same_mode, type, product, unit_amount, currency, interval, interval_count, usage_type.
-- Callers: service. Answers the disagreement (missing, mode, inactive, type, usage_type, product, currency, amount, interval,
-- interval_count) or null. A repeat changes nothing more. A price that is not the row's any more is left.
create or replace function billing.note_plan_price(p_plan_id text, p_price jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_plan     billing.subscription_plans;
  v_mismatch text;
begin
  update billing.subscription_plans set stripe_price = p_price, stripe_price_at = now()
   where id = p_plan_id and stripe_price_id = p_price->>'id' returning * into v_plan;
  if not found then
    return null;
  end if;
  v_mismatch := billing._plan_mismatch(v_plan);
  if v_mismatch is distinct from v_plan.mismatch_noticed then
    update billing.subscription_plans set mismatch_noticed = v_mismatch where id = p_plan_id;
    if v_mismatch is not null and v_plan.active then
      perform billing._notify('', 'operations.plan_price_mismatch', concat_ws(':', p_plan_id, v_mismatch, extract(epoch from now())),
        jsonb_build_object('plan', p_plan_id, 'reason', v_mismatch, 'price', p_price->>'id', 'at_stripe', p_price,
          'amount', v_plan.amount, 'currency', v_plan.currency, 'interval', v_plan.billing_interval,
          'interval_count', v_plan.interval_count, 'product', v_plan.stripe_product_id));
    end if;
  end if;
  return to_jsonb(v_mismatch);
end $$;
