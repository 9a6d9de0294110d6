-- Why a spend's guarded update found no row: answers a replay, raises the refusal, or removes the obstacle and answers
-- null, so that the caller tries again. Internal. Locks the account. Raises as spend_credits.
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
    perform billing._refuse_unpriced(p_event, billing._price_event(p_account_id, p_event, now()));
  end if;
  if p_credits not between 1 and 1000000000000000 then
    perform billing._refuse_unpriced(p_event, row(p_credits, null)::billing.price);
  end if;
  if length(coalesce(p_event->>'id', '')) not between 1 and 255 then
    raise exception using errcode = 'RF008', message = 'An event has an id of 1 to 255 characters.';
  end if;
  perform billing._balance_obstacle(v_balance, p_credits);
  return null;
end $$;
