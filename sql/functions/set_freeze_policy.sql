-- Applies the setting FREEZE_ON (dispute, inquiry or never) to the disputes and inquiries that are open: up to p_limit accounts,
-- whose status follows. Returns how many it changed.
-- Callers: service. A repeat finds nothing to do. An account that is locked for long waits for the next call. Raises RF008
-- invalid_value.
create or replace function billing.set_freeze_policy(p_freeze_on text, p_limit integer)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text;
  v_count   integer := 0;
begin
  if p_freeze_on is null or p_freeze_on not in ('dispute', 'inquiry', 'never') then
    raise exception using errcode = 'RF008', message = 'What freezes is dispute, inquiry or never.';
  end if;
  set local lock_timeout = '250ms';
  for v_account in
    select distinct account_id from billing.payment_reversals where is_open and freeze_on <> p_freeze_on
     order by account_id limit p_limit
  loop
    begin
      perform billing._lock_account(v_account);
      update billing.payment_reversals set freeze_on = p_freeze_on
       where account_id = v_account and is_open and freeze_on <> p_freeze_on;
      perform billing._derive_status(v_account);
      v_count := v_count + 1;
    exception when lock_not_available then
      null;
    end;
  end loop;
  return to_jsonb(v_count);
end $$;
