-- The credits of the smallest charge that settings of auto top-up lead to: one fixed amount, or from the threshold up to the
-- target. Internal. null while a setting is missing.
create or replace function billing._least_credits(p_settings billing.auto_topup_settings)
  returns bigint
  language sql immutable security definer set search_path = '' as $$
  select case p_settings.mode when 'target' then p_settings.credits - p_settings.threshold else p_settings.credits end;
$$;
