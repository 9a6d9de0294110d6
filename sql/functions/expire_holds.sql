-- Expires holds of up to p_limit accounts whose time is up, about a thousand a call; answers of how many accounts, so 0
-- says that nothing is left to do now. Callers: service.
-- A busy account is waited for, briefly, or its holds would never expire; one that is locked longer waits for the next call.
create or replace function billing.expire_holds(p_limit integer)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text;
  v_closed  integer;
  v_holds   integer := 0;
  v_count   integer := 0;
begin
  set local lock_timeout = '250ms';
  for v_account in
    select distinct d.account_id
      from (select account_id from billing.credit_holds
             where state = 'open' and expires_at <= now() order by expires_at limit p_limit * 10) d
     order by d.account_id limit p_limit
  loop
    begin
      v_closed := billing._expire_account_holds(v_account);
    exception when lock_not_available then
      v_closed := 0;
    end;
    v_holds := v_holds + v_closed;
    v_count := v_count + least(v_closed, 1);
    exit when v_holds >= 1000;
  end loop;
  return to_jsonb(v_count);
end $$;
