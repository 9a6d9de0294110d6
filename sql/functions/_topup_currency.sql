-- The currency that settings of auto top-up are to charge in: that of the package they name; else the one that they name
-- themselves; else the account's; else that of their caps. Refuses what does not agree, rather than read an amount of one
-- currency as an amount of another. p_package: the one that the settings name, or null.
-- Internal. Changes nothing. Raises RF007 unknown_package, RF012 invalid_auto_topup.
create or replace function billing._topup_currency(
  p_account_id text, p_before billing.auto_topup_settings, p_settings jsonb, p_package billing.credit_packages)
  returns text
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_asked    text := p_settings->>'currency';
  v_caps     text := p_settings#>>'{caps,currency}';
  v_own      text := case when p_package.id is null and v_asked is null then billing._account_currency(p_account_id) end;
  v_currency text := coalesce(p_package.currency::text, v_asked, v_own, v_caps);
  v_sold     text := (select string_agg(distinct p.currency::text, ', ') from billing.credit_packages p where p.active);
  v_fault    text[]; -- setting, rule, sentence
begin
  v_fault := case
    when v_asked <> v_currency
      then array['currency', 'currency', format('package %s is priced in %s, not in %s', p_package.id, v_currency, v_asked)]
    when v_currency is null and v_sold is not null
      then array['currency', 'currency_missing', format('packages are sold in %s: send currency, the one to charge in', v_sold)]
    when v_caps <> v_currency
      then array['caps.day', 'currency', format('caps must be in %s, the currency that is charged', v_currency)]
    when p_before.currency <> v_currency
     and (p_settings#>>'{caps,day}' is null or p_settings#>>'{caps,month}' is null)
      then array['caps.day', 'currency', format('the caps are in %s, and the charge would be in %s: send caps.day and'
        ' caps.month in %s as well', p_before.currency, v_currency, v_currency)]
    when v_currency <> coalesce(p_before.currency, '') and (billing._topup_package(p_package.id, v_currency)).id is null
     and v_sold is not null
      then array['currency', 'no_package', format('no package is sold in %s%s: send currency, one of %s', v_currency,
        case when v_asked is null then ', which the account pays in' else '' end, v_sold)] end;
  if v_fault is not null then
    perform billing._refuse_topup(v_fault, null, coalesce(v_currency, v_asked));
  end if;
  if (billing._topup_package(p_package.id, v_currency)).id is null then
    raise exception using errcode = 'RF007', message = 'There is no such package. GET /api/billing/packages lists them.';
  end if;
  return v_currency;
end $$;
