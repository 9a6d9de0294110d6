-- What is charged now for credits of a net price, with the fees and taxes of today (_lines_by_rules).
-- Internal. null for a null price.
create or replace function billing._charge_lines(p_net bigint, p_currency text, p_purpose text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select billing._lines_by_rules(p_net, coalesce((select step from billing.currencies where code = p_currency), 1),
    billing._fee_rules(p_currency, p_purpose));
$$;
