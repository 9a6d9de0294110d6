-- What became of a charge, other than success (settle_payment): declined, action_required, unknown, processing, canceled.
-- Declines count towards back-off (1, 2, 4 hours) and pause: at once when hard, else at the fourth. Nothing else counts.
-- p_facts: decline_code, advice_code, reason. Callers: service. Idempotent: a finished top-up stays as it is.
-- Raises RF008 invalid_value, RF009 not_found.
create or replace function billing.finish_topup(p_topup_id text, p_state text, p_facts jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_topup billing.topups;
begin
  if p_state not in ('declined', 'action_required', 'unknown', 'processing', 'canceled') then
    raise exception using errcode = 'RF008', message = 'A top-up does not end like this.';
  end if;
  select * into v_topup from billing.topups where id = p_topup_id;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such top-up.';
  end if;
  perform billing._lock_account(v_topup.account_id);
  update billing.topups
     set state = p_state,
         reason = p_facts->>'reason', decline_code = p_facts->>'decline_code', advice_code = p_facts->>'advice_code',
         finished_at = case when p_state in ('declined', 'canceled') then now() end,
         next_attempt_at = now() + case p_state
           when 'unknown' then least(interval '5 seconds' * power(2, least(claims, 10)), interval '1 minute')
           when 'processing' then least(interval '15 seconds' * power(2, least(claims, 10)), interval '15 minutes')
           else interval '24 hours' end
   where id = p_topup_id and state in ('open', 'processing', 'unknown', 'action_required')
     and not (state = 'action_required' and p_state <> 'canceled')
  returning * into v_topup;
  if found then
    perform billing._govern(v_topup);
    perform billing._arm_topup(v_topup.account_id);
  end if;
  return (select jsonb_build_object('state', t.state, 'paused_reason', s.paused_reason,
            'topup_due', coalesce(b.topup_due_at <= now(), false))
            from billing.topups t join billing.credit_balances b using (account_id)
            left join billing.auto_topup_settings s using (account_id)
           where t.id = p_topup_id);
end $$;
