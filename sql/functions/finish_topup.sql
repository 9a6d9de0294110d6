-- What became of a charge, other than success (settle_payment): declined, action_required, unknown, processing, canceled; or
-- canceling: it is given up, and canceled then means ends_as (declined or canceled) with the reason that it had. Once it was sent for
-- confirmation, canceled needs Stripe's word (p_facts: intent_status canceled or missing).
-- Declines count towards back-off (1, 2, 4 hours) and pause: at once when hard, else at the fourth. Nothing else counts.
-- p_facts: decline_code, advice_code, reason, intent_status, ends_as, lease_seconds. Callers: service.
-- Idempotent: a finished top-up stays as it is. Raises RF008 invalid_value, RF009 not_found, RF010 state_conflict.
create or replace function billing.finish_topup(p_topup_id text, p_state text, p_facts jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_before billing.topups;
  v_topup  billing.topups;
  v_facts  jsonb := p_facts;
  v_state  text := p_state;
begin
  if p_state not in ('declined', 'action_required', 'unknown', 'processing', 'canceling', 'canceled') then
    raise exception using errcode = 'RF008', message = 'A top-up does not end like this.';
  end if;
  select * into v_before from billing.topups where id = p_topup_id;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such top-up.';
  end if;
  perform billing._lock_account(v_before.account_id);
  select * into v_before from billing.topups where id = p_topup_id for update;
  if v_before.dead_at is null and not billing._topup_may_become(v_before, p_state, p_facts->>'intent_status') then
    raise exception using errcode = 'RF010', message = case
      when p_state = 'canceled' and v_before.confirming_at is not null
        then 'This charge was sent to Stripe, which has not said that it is canceled.'
      else format('A top-up does not go from %s to %s.', v_before.state, p_state) end;
  end if;
  if v_before.state = 'canceling' and p_state in ('canceled', 'processing') and p_facts->>'intent_status' is distinct from 'missing' then
    -- It ends as was meant, and for that reason, whoever has seen that Stripe canceled it.
    v_state := case when p_state = 'canceled' then v_before.ends_as else p_state end;
    v_facts := p_facts || jsonb_build_object('reason', v_before.reason, 'decline_code', v_before.decline_code,
      'advice_code', v_before.advice_code);
  end if;
  -- A person is asked once, and the first reason to give a charge up stands.
  if v_before.dead_at is null and not (v_before.state = p_state and p_state in ('action_required', 'canceling')) then
    update billing.topups
       set state = v_state, reason = v_facts->>'reason', decline_code = v_facts->>'decline_code', advice_code = v_facts->>'advice_code',
           ends_as = case when v_state = 'canceling' then coalesce(v_facts->>'ends_as', 'canceled') end,
           canceling_at = case when v_state = 'canceling' then now() end,
           finished_at = case when v_state in ('declined', 'canceled') then now() end,
           dead_at = case when v_state in ('declined', 'canceled') then now() end,
           next_attempt_at = now() + case v_state
             when 'unknown' then least(interval '5 seconds' * power(2, least(claims, 10)), interval '1 minute')
             when 'processing' then least(interval '15 seconds' * power(2, least(claims, 10)), interval '15 minutes')
             when 'action_required' then interval '2 minutes'
             when 'canceling' then make_interval(secs => coalesce((v_facts->>'lease_seconds')::integer, 0))
             else interval '24 hours' end
     where id = p_topup_id
    returning * into v_topup;
    perform billing._govern(v_topup);
    perform billing._arm_topup(v_topup.account_id);
  end if;
  return (select jsonb_build_object('state', t.state, 'paused_reason', s.paused_reason,
            'topup_due', coalesce(b.topup_due_at <= now(), false))
            from billing.topups t join billing.credit_balances b using (account_id)
            left join billing.auto_topup_settings s using (account_id)
           where t.id = p_topup_id);
end $$;
