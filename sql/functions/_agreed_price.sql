-- What somebody agrees to who consents to settings of auto top-up now: the unit price, today's fees and taxes, and the
-- smallest charge; as auto_topup_consents.price keeps it. Internal. null when no package sets a price.
create or replace function billing._agreed_price(p_settings billing.auto_topup_settings)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('package_id', p.id, 'credits', p.credits, 'amount', p.amount, 'currency', p.currency, 'step', c.step,
           'rules', billing._fee_rules(p.currency, 'topup'), 'least_credits', billing._least_credits(p_settings),
           'lines', billing._least_charge(p_settings, p))
    from billing._topup_package(p_settings.package_id, p_settings.currency) p join billing.currencies c on c.code = p.currency;
$$;
