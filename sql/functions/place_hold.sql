-- Reserves credits under p_hold->>'id': amount (micro-credits), or an action that is priced as in spend_credits. With
-- parent_id it reserves from that hold and takes what it does not name (agent, department_id, member_id, run_id) from it.
-- expires_in: seconds, 900 unless given, at most a day; a child pushes the ends of its ancestors ahead, within their day.
-- Callers: service. Idempotent by the id: the same content answers the hold as it is.
-- Raises RF001 unknown_account, RF002 insufficient_credits, RF003 limit_reached, RF004 account_paused,
-- RF005 idempotency_conflict, RF006 unknown_action, RF008 invalid_value, RF009 not_found, RF010 state_conflict,
-- RF016 unknown_model, RF017 unknown_dimension.
create or replace function billing.place_hold(p_account_id text, p_hold jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_id       text := p_hold->>'id';
  v_mark     uuid := md5(p_hold::text)::uuid;
  v_credits  bigint := (p_hold->>'amount')::bigint;
  v_seconds  integer := coalesce((p_hold->>'expires_in')::integer, 900);
  v_expires  timestamptz := now() + make_interval(secs => v_seconds);
  v_subjects text[] := array_remove(array['department:' || (p_hold->>'department_id'), 'member:' || (p_hold->>'member_id'),
    'agent:' || (p_hold->>'agent')], null);
  v_code     text;
  v_left     bigint;
  v_status   billing.account_status;
  v_limited  boolean;
  v_level    bigint;
  v_answer   jsonb;
  v_due      boolean := false;
begin
  if v_credits is null then
    select credits, code into v_credits, v_code from billing._price_event(p_account_id, p_hold, now());
  end if;
  if p_hold->>'parent_id' is not null then
    return billing._place_child(p_account_id, p_hold, v_mark, row(v_credits, v_code)::billing.price, v_expires);
  end if;
  loop
    update billing.credit_balances b
       set held = b.held + v_credits
     where b.account_id = p_account_id
       and b.balance - b.held + b.overdraft >= v_credits
       and v_credits between 1 and 1000000000000000
       and length(v_id) between 1 and 255
       and v_seconds between 1 and 86400
       and b.next_expiry_at > now()
       and b.status <> 'paused'
    returning b.balance - b.held + b.overdraft, b.status, b.limited,
           greatest(b.topup_trigger, b.low_threshold) - (b.balance - b.held)
      into v_left, v_status, v_limited, v_level;
    exit when found;
    v_answer := billing._hold_obstacle(p_account_id, p_hold, v_mark, row(v_credits, v_code)::billing.price);
    if v_answer is not null then
      return v_answer;
    end if;
  end loop;
  insert into billing.credit_holds
    (account_id, id, amount, action, quantity, dimensions, agent, department_id, member_id, run_id, metadata, subjects,
     covered, fingerprint, expires_at)
  values (p_account_id, v_id, v_credits, p_hold->>'action', (p_hold->>'quantity')::bigint, p_hold->'dimensions',
    p_hold->>'agent', p_hold->>'department_id', p_hold->>'member_id', p_hold->>'run_id', p_hold->'metadata', v_subjects,
    v_subjects, v_mark, v_expires)
  on conflict (account_id, id) do nothing;
  if not found then
    update billing.credit_balances set held = held - v_credits where account_id = p_account_id;
    return billing._hold_replay(p_account_id, v_id, v_mark);
  end if;
  if v_limited then
    perform billing._hold_limits(p_account_id, v_subjects, v_credits);
  end if;
  if v_level >= 0 then
    v_due := billing._mark_crossings(p_account_id, 'hold:' || v_id);
  end if;
  -- As _hold_json, which would read the row again.
  return jsonb_build_object('id', v_id, 'account_id', p_account_id, 'parent_id', null, 'state', 'open', 'amount', v_credits,
    'settled', 0, 'spent', 0, 'reserved', 0, 'remaining', v_credits, 'action', p_hold->'action', 'agent', p_hold->'agent',
    'department_id', p_hold->'department_id', 'member_id', p_hold->'member_id', 'run_id', p_hold->'run_id',
    'expires_at', v_expires, 'created_at', now(), 'closed_at', null, 'available', greatest(0, v_left), 'status', v_status,
    'replayed', false, 'topup_due', v_due);
end $$;
