-- The package whose unit price an automatic top-up pays: the named one, else the smallest active one; of one currency if
-- given. Internal. Answers null when there is none.
create or replace function billing._topup_package(p_package_id text, p_currency text)
  returns billing.credit_packages
  language sql stable security definer set search_path = '' as $$
  select p from billing.credit_packages p
   where p.active and (p_package_id is null or p.id = p_package_id) and (p_currency is null or p.currency = p_currency)
   order by p.credits, p.id
   limit 1;
$$;
