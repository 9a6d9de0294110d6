-- Expires the lots of up to p_limit accounts whose time has come; answers how many accounts it touched.
-- Callers: service. Accounts that a movement holds right now are left to it: it expires them itself.
create or replace function billing.expire_lots(p_limit integer)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text;
  v_count   integer := 0;
begin
  for v_account in
    select account_id from billing.credit_balances
     where next_expiry_at <= now() and next_expiry_at < 'infinity'
     order by account_id limit p_limit for update skip locked
  loop
    perform billing._expire_account_lots(v_account);
    v_count := v_count + 1;
  end loop;
  return to_jsonb(v_count);
end $$;
