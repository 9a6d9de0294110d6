-- Whether something that was made under the id of a request may be in the books. An adjustment's counts as made: its entry is
-- found within its account only. Internal.
create or replace function billing._request_made(p_subject text)
  returns boolean
  language sql stable security definer set search_path = '' as $$
  select coalesce(p_subject like 'adj\_%'
      or exists (select from billing.payments where id = p_subject)
      or exists (select from billing.subscription_checkouts where id = p_subject)
      or exists (select from billing.accounts where id = p_subject), false);
$$;
