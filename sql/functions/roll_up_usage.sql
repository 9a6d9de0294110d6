-- Brings usage_rollups up to date for the next p_accounts accounts after p_after, with up to p_events events. Answers events
-- (how many it added) and next: the p_after of the following call; null when all accounts are done.
-- Callers: service. Idempotent: an event is counted once, and an advisory lock lets one caller at a time do it.
create or replace function billing.roll_up_usage(p_after text, p_accounts integer, p_events bigint)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text;
  v_former  text := p_after;
  v_end     text;
  v_events  bigint := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('billing.roll_up_usage', 0));
  -- The last account of a full window; the end of all accounts is told from it by null.
  v_end := (select b.account_id from billing.credit_balances b where b.account_id > p_after
             order by b.account_id offset p_accounts - 1 limit 1);
  for v_account in
    select b.account_id from billing.credit_balances b
      left join billing.usage_rollup_marks m on m.account_id = b.account_id
     where b.account_id > p_after and (v_end is null or b.account_id <= v_end)
       and exists (select from billing.credit_usage u where u.account_id = b.account_id and u.id > coalesce(m.usage_id, 0))
     order by b.account_id
  loop
    v_events := v_events + billing._roll_up_account(v_account, p_events - v_events);
    if v_events >= p_events then
      -- It may have more.
      return jsonb_build_object('events', v_events, 'next', v_former);
    end if;
    v_former := v_account;
  end loop;
  return jsonb_build_object('events', v_events, 'next', v_end);
end $$;
