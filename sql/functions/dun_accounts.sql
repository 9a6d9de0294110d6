-- Gives accounts whose automatic charges have stopped for want of a working card p_hours of grace, in which they may spend
-- p_credits (micro-credits) below zero, and pauses those whose grace is over; each is told once. With p_hours null nobody
-- is paused for failed charges, and who was is freed. Up to p_limit accounts; answers how many it changed.
-- Callers: service. A repeat finds nothing to do. An account that is locked for long waits for the next call.
create or replace function billing.dun_accounts(p_hours integer, p_credits bigint, p_limit integer)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text;
  v_count   integer := 0;
begin
  set local lock_timeout = '250ms';
  for v_account in
    select account_id from (
      (select s.account_id from billing.auto_topup_settings s join billing.credit_balances b using (account_id)
        where p_hours is not null and s.enabled and s.paused_reason is not null and not s.is_dunned
          and billing._is_card_pause(s.paused_reason) and b.status = 'active'
        order by s.account_id limit p_limit)
      union
      (select b.account_id from billing.credit_balances b
        where b.grace_until is not null and (p_hours is null or b.grace_until <= now() and b.status = 'grace')
        order by b.grace_until limit p_limit)) due
     order by account_id
  loop
    begin
      perform billing._lock_account(v_account);
      v_count := v_count + billing._dun(v_account, p_hours, p_credits);
    exception when lock_not_available then
      null;
    end;
  end loop;
  return to_jsonb(v_count);
end $$;
