-- Refuses settings of auto top-up. p_fault: the setting to change, the rule, a sentence. The detail is for forms: with what one
-- charge would come to, and what its currency allows, in minor units.
-- Internal. Raises RF012 invalid_auto_topup.
create or replace function billing._refuse_topup(p_fault text[], p_least numeric, p_currency text)
  returns void
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_rules billing.currencies := billing._currency_rules(p_currency);
begin
  raise exception using errcode = 'RF012', message = 'Auto top-up settings: ' || p_fault[3] || '.',
    detail = jsonb_build_object('field', p_fault[1], 'rule', p_fault[2], 'least_charge', p_least, 'currency', p_currency,
      'minimum', v_rules.minimum, 'maximum', v_rules.maximum)::text;
end $$;
