-- The fees and taxes on credits that are bought for p_purpose (purchase or topup) in a currency: [{id, kind, label, percent,
-- fixed}]. Internal.
create or replace function billing._fee_rules(p_currency text, p_purpose text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'kind', r.kind, 'label', r.label, 'percent', r.percent, 'fixed', r.fixed)
           order by r.id), '[]')
    from billing.fee_rules r
   where r.active and r.applies_to in (p_purpose, 'both') and (r.currency is null or r.currency = p_currency);
$$;
