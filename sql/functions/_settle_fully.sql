-- A settlement of any kind: of a child or a parent, in draws, by usage, after the end, of an account with limits. For
-- settle_hold, which does the plain kind itself. Internal. Locks the account. Raises as settle_hold.
create or replace function billing._settle_fully(p_account_id text, p_hold_id text, p_settlement jsonb, p_fingerprint uuid)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance billing.credit_balances := billing._lock_account(p_account_id);
  v_final   boolean := coalesce((p_settlement->>'final')::boolean, true);
  v_draw    text := case when not v_final then p_settlement->>'id' end;
  v_answer  jsonb := billing._settlement_replay(p_account_id, p_hold_id, v_draw, p_fingerprint);
  v_hold    billing.credit_holds;
  v_lines   billing.usage_line[];
  v_credits numeric;
  v_delta   bigint;
  v_txn     bigint;
  v_due     boolean := false;
begin
  if v_answer is not null then
    return v_answer;
  end if;
  if not v_final and length(coalesce(v_draw, '')) not between 1 and 255 then
    raise exception using errcode = 'RF008', message = 'A settlement that leaves its hold open has an id of 1 to 255 characters.';
  end if;
  if v_balance.next_expiry_at <= now() then
    perform billing._expire_account_lots(p_account_id);
  end if;
  if v_final then
    perform billing._close_children(p_account_id, p_hold_id, 'released', v_balance.limited);
  end if;
  select * into v_hold from billing.credit_holds where account_id = p_account_id and id = p_hold_id;
  v_lines := billing._settlement_lines(v_hold, p_settlement, v_final);
  select coalesce(sum(l.credits), 0) into v_credits from unnest(v_lines) l;
  if v_credits > 1000000000000000 then
    raise exception using errcode = 'RF008', message = 'A settlement is at most 1000000000 credits.';
  end if;

  v_delta := billing._move_hold(p_account_id, p_hold_id, v_credits::bigint,
    case when v_final then 'settled' else v_hold.state end, v_balance.limited,
    array(select s from unnest(v_lines) with ordinality l cross join unnest(billing._event_subjects(l.event)) s
           order by l.ordinality, s),
    array(select l.credits from unnest(v_lines) with ordinality l cross join unnest(billing._event_subjects(l.event)) s
           order by l.ordinality, s));
  update billing.credit_balances set balance = balance - v_credits::bigint, held = held + v_delta
   where account_id = p_account_id returning * into v_balance;
  if v_credits > 0 then
    v_txn := nextval('billing.credit_transactions_id_seq');
    perform billing._post_debit(p_account_id, v_txn, v_credits::bigint, v_balance.balance, 'hold', p_hold_id, now());
    perform billing._write_usage(p_account_id, v_txn, v_lines, p_hold_id);
  end if;
  if v_final then
    update billing.credit_holds set settlement = p_fingerprint where account_id = p_account_id and id = p_hold_id;
  else
    insert into billing.credit_hold_draws (account_id, hold_id, draw_id, fingerprint, credits, transaction_id)
    values (p_account_id, p_hold_id, v_draw, p_fingerprint, v_credits::bigint, v_txn);
    v_answer := billing._keep_hold(v_hold, p_settlement);
    select * into v_balance from billing.credit_balances where account_id = p_account_id;
  end if;
  -- A settlement of nothing is no spend.
  v_due := coalesce(v_balance.topup_due_at = now(), false);
  if v_credits > 0 and v_balance.balance - v_balance.held <= greatest(v_balance.topup_trigger, v_balance.low_threshold) then
    v_due := billing._mark_crossings(p_account_id, 'entry');
  end if;
  return billing._hold_json(p_account_id, p_hold_id)
    || jsonb_build_object('replayed', false, 'topup_due', v_due, 'refusal', v_answer);
end $$;
