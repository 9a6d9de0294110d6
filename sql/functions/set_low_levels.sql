-- Sets at which balances the account is told that they are low: up to five different amounts (micro-credits), none: never.
-- Levels that are reached already are not announced. Callers: service. Repeatable.
-- Raises RF001 unknown_account, RF008 invalid_value.
create or replace function billing.set_low_levels(p_account_id text, p_levels jsonb, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_levels bigint[] := array(select distinct l::bigint from jsonb_array_elements_text(p_levels) l order by 1 desc);
begin
  if cardinality(v_levels) > 5 or not 0 <= all (v_levels) or not 1000000000000000 >= all (v_levels) then
    raise exception using errcode = 'RF008', message = 'Low-balance levels are up to five amounts of 0 to 1000000000 credits.';
  end if;
  perform billing._lock_account(p_account_id);
  update billing.accounts set low_levels = v_levels where id = p_account_id;
  update billing.credit_balances
     set low_since = coalesce(low_since, now()) where account_id = p_account_id;
  perform billing._rearm_low(p_account_id);
  insert into billing.audit_log (account_id, actor, action, details)
  values (p_account_id, p_actor, 'low_levels.set', jsonb_build_object('levels', v_levels));
  return billing.get_low_levels(p_account_id);
end $$;
