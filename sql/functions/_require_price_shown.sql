-- Refuses a consent that was given to a lower price than that of now: p_charge {amount, currency} is the smallest charge that
-- was shown, null when the caller does not say. Internal. Raises RF014 consent_required.
create or replace function billing._require_price_shown(p_settings billing.auto_topup_settings, p_charge jsonb)
  returns void
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_least bigint := billing._lines_total(billing._agreed_price(p_settings)->'lines');
begin
  if (p_charge->>'amount')::bigint < v_least or p_charge->>'currency' <> p_settings.currency then
    raise exception using errcode = 'RF014', message = 'The price has changed since it was shown: show it again, and ask again.',
      detail = jsonb_build_object('field', 'consent.charge', 'amount', v_least, 'currency', p_settings.currency,
        'shown', p_charge)::text;
  end if;
end $$;
