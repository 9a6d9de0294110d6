-- A hold that reserves from another one. For place_hold. Internal. Locks the account. Raises as place_hold.
create or replace function billing._place_child(
  p_account_id text, p_hold jsonb, p_fingerprint uuid, p_price billing.price, p_expires_at timestamptz)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance  billing.credit_balances := billing._lock_account(p_account_id);
  v_id       text := p_hold->>'id';
  v_answer   jsonb := billing._hold_replay(p_account_id, v_id, p_fingerprint);
  v_parent   billing.credit_holds;
  v_who      jsonb;
  v_own      text[];
  v_subjects text[];
  v_due      boolean := false;
begin
  if v_answer is not null then
    return v_answer;
  end if;
  perform billing._require_hold(p_hold, p_price);
  if v_balance.status = 'paused' then
    perform billing._balance_obstacle(v_balance, p_price.credits);
  end if;
  select * into v_parent from billing.credit_holds where account_id = p_account_id and id = p_hold->>'parent_id';
  if v_parent.depth >= 255 then
    raise exception using errcode = 'RF008', message = 'Holds nest at most 256 levels deep.';
  end if;
  perform billing._require_room(p_account_id, p_hold->>'parent_id', p_price.credits);
  update billing.credit_holds set reserved = reserved + p_price.credits
   where account_id = p_account_id and id = v_parent.id;

  v_who := billing._hold_attributes(v_parent) || p_hold;
  v_own := billing._event_subjects(v_who);
  v_subjects := array(select s from unnest(v_own) s where s <> all (v_parent.covered));
  insert into billing.credit_holds
    (account_id, id, parent_id, depth, amount, action, quantity, dimensions, agent, department_id, member_id, run_id,
     metadata, subjects, covered, fingerprint, expires_at)
  values (p_account_id, v_id, v_parent.id, v_parent.depth + 1, p_price.credits, p_hold->>'action',
    (p_hold->>'quantity')::bigint, p_hold->'dimensions', v_who->>'agent', v_who->>'department_id', v_who->>'member_id',
    v_who->>'run_id', p_hold->'metadata', v_subjects, v_parent.covered || v_subjects, p_fingerprint, p_expires_at);
  perform billing._push_expiry(p_account_id, v_id, p_expires_at);
  if v_balance.limited then
    perform billing._hold_limits(p_account_id, v_subjects, p_price.credits);
  end if;
  -- The parent reserved the credits before; but what disarmed auto top-up since then is over with this hold.
  if v_balance.balance - v_balance.held <= v_balance.topup_trigger and v_balance.topup_cause is null then
    v_due := billing._mark_crossings(p_account_id, 'hold:' || v_id);
  end if;
  return billing._hold_json(p_account_id, v_id) || jsonb_build_object('replayed', false, 'topup_due', v_due);
end $$;
