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
  v_price    billing.price;
  v_parent   billing.credit_holds;
  v_who      jsonb := p_hold;
  v_subjects text[];
  v_due      boolean;
  v_old      billing.credit_holds;
begin
  select * into v_old from billing.credit_holds where account_id = p_account_id and id = v_id;
  if found and v_old.fingerprint = v_mark then
    return billing._hold_json(p_account_id, v_id) || '{"replayed": true, "topup_due": false}';
  elsif found then
    raise exception using errcode = 'RF005', message = 'This hold id was used before for something else. Use a new id.';
  end if;
  if length(coalesce(v_id, '')) not between 1 and 255 or v_seconds not between 1 and 86400 then
    raise exception using errcode = 'RF008', message = 'A hold has an id of 1 to 255 characters and ends within 1 to 86400 seconds.';
  end if;
  if p_hold->>'parent_id' is not null then
    select * into v_parent from billing.credit_holds where account_id = p_account_id and id = p_hold->>'parent_id';
    v_who := billing._hold_attributes(v_parent) || p_hold;
  end if;
  if v_credits is null then
    v_price := billing._price_event(p_account_id, p_hold, now());
    v_credits := v_price.credits;
  end if;
  if v_credits is null or v_credits not between 1 and 1000000000000000 then
    perform billing.get_account(p_account_id);
    perform billing._refuse_unpriced(p_hold, row(v_credits, v_price.code)::billing.price);
  end if;

  v_subjects := billing._event_subjects(v_who);
  v_due := billing._reserve(p_account_id, p_hold->>'parent_id', v_credits,
    array(select s from unnest(v_subjects) s where s <> all (coalesce(v_parent.covered, '{}'))));
  insert into billing.credit_holds
    (account_id, id, parent_id, depth, amount, action, quantity, dimensions, agent, department_id, member_id, run_id,
     metadata, subjects, covered, fingerprint, expires_at)
  values (p_account_id, v_id, v_parent.id, coalesce(v_parent.depth + 1, 0), v_credits, p_hold->>'action',
    (p_hold->>'quantity')::bigint, p_hold->'dimensions', v_who->>'agent', v_who->>'department_id', v_who->>'member_id',
    v_who->>'run_id', p_hold->'metadata',
    array(select s from unnest(v_subjects) s where s <> all (coalesce(v_parent.covered, '{}'))),
    array(select distinct s from unnest(v_parent.covered || v_subjects) s), v_mark, v_expires)
  on conflict (account_id, id) do nothing;
  if not found then
    raise exception using errcode = '40001', message = 'The same hold was placed at the same time.';
  end if;
  if v_parent.id is not null then
    perform billing._push_expiry(p_account_id, v_id, v_expires);
  end if;
  return billing._hold_json(p_account_id, v_id) || jsonb_build_object('replayed', false, 'topup_due', v_due);
end $$;
