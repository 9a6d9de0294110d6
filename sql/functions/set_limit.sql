-- Sets what a department, member or agent (p_limit->>'scope', 'scope_id') may spend in a day, week or month ('window'):
-- credits (micro-credits; null removes the limit) and hard (default true: refuses; false: announces). What was spent in
-- the window so far and what open holds reserve count. Callers: service. Repeatable.
-- Raises RF001 unknown_account, RF008 invalid_value.
create or replace function billing.set_limit(p_account_id text, p_limit jsonb, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance billing.credit_balances := billing._lock_account(p_account_id);
  v_scope   text := p_limit->>'scope';
  v_subject text := v_scope || ':' || (p_limit->>'scope_id');
  v_period  text := p_limit->>'window';
  v_credits bigint := (p_limit->>'credits')::bigint;
  v_start   timestamptz;
  v_limit   billing.credit_limits;
begin
  if coalesce(v_scope not in ('department', 'member', 'agent') or v_period not in ('day', 'week', 'month')
      or length(p_limit->>'scope_id') not between 1 and 255, true)
    or v_credits not between 0 and 1000000000000000
  then
    raise exception using errcode = 'RF008',
      message = 'A limit names a department, member or agent, a day, week or month, and 0 to 1000000000 credits.';
  end if;
  if v_credits is null then
    delete from billing.credit_limits where account_id = p_account_id and subject = v_subject and period = v_period;
  else
    v_start := date_trunc(v_period, now(), 'UTC');
    insert into billing.credit_limits as l
      (account_id, subject, period, scope, scope_id, credits, hard, used, held, window_start)
    values (p_account_id, v_subject, v_period, v_scope, p_limit->>'scope_id', v_credits,
      coalesce((p_limit->>'hard')::boolean, true), billing._limit_used(p_account_id, v_subject, v_start),
      (select coalesce(sum(h.remaining), 0) from billing.credit_holds h
        where h.account_id = p_account_id and h.state = 'open' and v_subject = any (h.subjects)), v_start)
    on conflict (account_id, subject, period)
    do update set credits = excluded.credits, hard = excluded.hard, updated_at = now(),
      -- A higher limit is reached, and announced, anew.
      announced_for = case when excluded.credits > l.used then null else l.announced_for end
    returning * into v_limit;
    if v_limit.used >= v_limit.credits and v_limit.window_start = v_start then
      perform billing._announce_limit(p_account_id, v_subject, v_period);
    end if;
  end if;
  update billing.credit_balances b set limited = exists (select from billing.credit_limits l where l.account_id = p_account_id)
   where b.account_id = p_account_id;
  insert into billing.audit_log (account_id, actor, action, subject, details)
  values (p_account_id, p_actor, 'limit.set', v_subject, p_limit);
  return case when v_credits is null
    then jsonb_build_object('account_id', p_account_id, 'scope', v_scope, 'scope_id', p_limit->>'scope_id', 'window', v_period,
      'credits', null, 'hard', null, 'used', null, 'held', null, 'left', null, 'window_started_at', null, 'resets_at', null)
    else billing._limit_json(v_limit) end;
end $$;
