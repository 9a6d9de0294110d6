-- The package whose unit price an automatic top-up pays: the named one, of the given currency if there is one; else the
-- smallest active one of the currency. Internal. Answers null when there is none, and never one of another currency.
create or replace function billing._topup_package(p_package_id text, p_currency text)
  returns billing.credit_packages
  language sql stable security definer set search_path = '' as $$
  select p from billing.credit_packages p
   where p.active and case when p_package_id is null then p.currency = p_currency
                           else p.id = p_package_id and (p_currency is null or p.currency = p_currency) end
   order by p.credits, p.id
   limit 1;
$$;
