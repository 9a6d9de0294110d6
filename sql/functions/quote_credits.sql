-- What an event would cost now (micro-credits) and whether it would be let through, by the balance, the hold it names and
-- the hard limits of its department, member and agent; binding names the first that would refuse. Promises nothing: only
-- a hold reserves. Callers: service. Changes nothing.
-- Raises RF001 unknown_account, RF006 unknown_action, RF008 invalid_value, RF009 not_found, RF016 unknown_model, RF017
-- unknown_dimension.
create or replace function billing.quote_credits(p_account_id text, p_event jsonb)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_account jsonb := billing.get_account(p_account_id);
  v_price   billing.price := billing._price_event(p_account_id, p_event, now());
  v_hold    billing.credit_holds;
  v_bounds  jsonb;
  v_binding jsonb;
begin
  if p_event->>'amount' is not null then
    v_price := row((p_event->>'amount')::bigint, null);
  end if;
  if v_price.credits is null or v_price.credits not between 1 and 1000000000000000 then
    perform billing._refuse_unpriced(p_event, v_price);
  end if;
  if p_event ? 'hold_id' then
    v_hold := billing._find_hold(p_account_id, p_event->>'hold_id');
  end if;
  select jsonb_agg(b.fact || jsonb_build_object('available', b.room) order by b.room) into v_bounds from (
    select greatest(0, balance - held + overdraft), jsonb_build_object('binding', 'balance')
      from billing.credit_balances where account_id = p_account_id and v_hold.id is null
    union all
    select (billing._hold_json(p_account_id, v_hold.id)->>'remaining')::bigint,
           jsonb_build_object('binding', 'run', 'hold_id', v_hold.id)
     where v_hold.id is not null
    union all
    select (j.facts->>'left')::bigint, jsonb_build_object('binding', l.scope, 'scope_id', l.scope_id, 'window', l.period,
             'resets_at', j.facts->'resets_at')
      from billing.credit_limits l cross join lateral (select billing._limit_json(l) as facts) j
     where l.account_id = p_account_id and l.hard
       and l.subject = any (billing._event_subjects(billing._hold_attributes(v_hold) || p_event))
       -- What the run has reserved of a limit is its own to spend.
       and l.subject <> all (coalesce(v_hold.covered, '{}'))
  ) b (room, fact);
  v_binding := v_bounds->0;
  return jsonb_build_object('credits', v_price.credits, 'available', v_binding->'available', 'status', v_account->'status',
    'sufficient', (v_binding->>'available')::bigint >= v_price.credits and v_account->>'status' <> 'paused',
    'binding', v_binding->'binding', 'bounds', v_bounds);
end $$;
