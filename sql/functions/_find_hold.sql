-- The hold. Internal. Raises RF009 not_found.
create or replace function billing._find_hold(p_account_id text, p_hold_id text)
  returns billing.credit_holds
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_hold billing.credit_holds;
begin
  select * into v_hold from billing.credit_holds where account_id = p_account_id and id = p_hold_id;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such hold.';
  end if;
  return v_hold;
end $$;
