-- Tells the account that a limit is reached, once a window. Internal: the caller holds the account's lock.
create or replace function billing._announce_limit(p_account_id text, p_subject text, p_period text)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  -- Nothing may have been counted in this window yet.
  v_start timestamptz := date_trunc(p_period, now(), 'UTC');
  v_limit billing.credit_limits;
begin
  update billing.credit_limits set announced_for = greatest(window_start, v_start)
   where account_id = p_account_id and subject = p_subject and period = p_period
     and announced_for is distinct from greatest(window_start, v_start)
  returning * into v_limit;
  if found then
    perform billing._notify(p_account_id, 'limit.reached',
      concat_ws(':', p_account_id, p_subject, p_period, extract(epoch from v_limit.announced_for), v_limit.credits),
      billing._limit_json(v_limit));
  end if;
end $$;
