-- The lines of the smallest charge that settings of auto top-up can lead to: one fixed amount, or from the threshold up to
-- the target. Internal. null while a setting is missing; a price beyond what Stripe takes stays just beyond it.
create or replace function billing._least_charge(
  p_settings billing.auto_topup_settings, p_package billing.credit_packages)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select billing._charge_lines(least(c.maximum + c.step, billing._topup_price(
    billing._least_credits(p_settings), p_package.credits, p_package.amount, c.step))::bigint, p_package.currency, 'topup')
    from billing._currency_rules(p_package.currency) c
   where p_settings.credits is not null and p_package.id is not null;
$$;
