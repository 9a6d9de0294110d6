-- Whether p_credits cost more now than by the consent in force, fees and taxes included: {credits, amount, agreed_amount,
-- currency}, or null when they do not. No credits: those of the smallest charge. A consent without a price has agreed to
-- none; agreed_amount is null then.
-- Internal. Changes nothing. null when no package sets a price.
create or replace function billing._price_rise(p_settings billing.auto_topup_settings, p_credits bigint)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_agreed  jsonb := (billing._consent_in_force(p_settings.account_id)).price;
  v_credits bigint := case when p_credits > 0 then p_credits else billing._least_credits(p_settings) end;
  v_now     bigint := billing._agreed_amount(billing._agreed_price(p_settings), v_credits);
  v_then    bigint := case when v_agreed->>'currency' = p_settings.currency then billing._agreed_amount(v_agreed, v_credits) end;
begin
  return case when v_now > v_then or (v_now is not null and v_then is null) then jsonb_build_object('credits', v_credits,
    'amount', v_now, 'agreed_amount', v_then, 'currency', p_settings.currency) end;
end $$;
