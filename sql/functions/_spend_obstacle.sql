-- Why a spend's guarded update found no row: answers a replay, raises the refusal, or removes the obstacle (expired lots)
-- and answers null, so that the caller tries again. Internal. Locks the account. Raises as spend_credits.
create or replace function billing._spend_obstacle(
  p_account_id text, p_event jsonb, p_fingerprint uuid, p_credits bigint)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance billing.credit_balances := billing._lock_account(p_account_id);
  v_answer  jsonb := billing._spend_replay(p_account_id, p_event->>'id', p_fingerprint);
begin
  if v_answer is not null then
    return v_answer;
  end if;
  if p_credits is null then
    raise exception using errcode = 'RF006',
      message = format('The action %s has no price. An operator sets one in agent_action_costs.', p_event->>'action');
  end if;
  if p_credits not between 1 and 1000000000000000 then
    raise exception using errcode = 'RF008', message = 'A spend is between 0.000001 and 1000000000 credits.';
  end if;
  if length(coalesce(p_event->>'id', '')) not between 1 and 255 then
    raise exception using errcode = 'RF008', message = 'An event has an id of 1 to 255 characters.';
  end if;
  if v_balance.next_expiry_at <= now() then
    perform billing._expire_account_lots(p_account_id);
    return null;
  end if;
  if v_balance.status = 'paused' then
    raise exception using errcode = 'RF004', message = 'This account is paused. Ask an administrator of the account.';
  end if;
  if v_balance.balance - v_balance.held + v_balance.overdraft >= p_credits then
    return null; -- a grant came in between
  end if;
  raise exception using errcode = 'RF002',
    message = 'Not enough credits for this. Buy credits on the billing page, or ask an administrator of the account to.',
    detail = jsonb_build_object('binding', 'balance', 'needed', p_credits,
      'available', greatest(0, v_balance.balance - v_balance.held + v_balance.overdraft),
      'topup', billing._topup_state(p_account_id))::text;
end $$;
