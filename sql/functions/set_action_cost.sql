-- Sets the card of an action from p_card->>'effective_from' (default now) on: credits for one of quantity, rates by
-- dimension ({"input_tokens": {"credits": 3000000, "per": 1000000}}), or both; for one model (model) or account
-- (account_id) when named; retire: none any more. The card before ends then; old cards stay for the books.
-- A price that is ten times the last one or more, or a tenth or less, is refused unless confirm: per token instead of per
-- million is caught here. So is a first price a hundred times off the other cards of the action, or above a credit a token.
-- Callers: service. Raises RF001 unknown_account, RF008 invalid_value, RF009 not_found (nothing to retire), RF018
-- price_change_too_large.
create or replace function billing.set_action_cost(p_card jsonb, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_action  text := p_card->>'action';
  v_account text := coalesce(p_card->>'account_id', '');
  v_model   text := coalesce(p_card->>'model', '');
  v_from    timestamptz := coalesce((p_card->>'effective_from')::timestamptz, clock_timestamp());
  v_retire  boolean := coalesce((p_card->>'retire')::boolean, false);
  v_until   timestamptz;
  v_last    billing.agent_action_costs;
  v_gone    billing.agent_action_costs;
  v_new     billing.agent_action_costs;
begin
  perform pg_advisory_xact_lock(hashtextextended('billing.set_action_cost:' || v_action, 0));
  perform billing._require_card(p_card);
  if v_account <> '' then
    perform billing.get_account(v_account);
  end if;
  select * into v_new from billing.agent_action_costs
   where action = v_action and account_id = v_account and model = v_model and effective_from = v_from
     and effective_from <= clock_timestamp();
  if found and not v_retire and (v_new.credits, v_new.rates) is not distinct from
    ((p_card->>'credits')::bigint, nullif(p_card->'rates', 'null'))
  then
    return billing._card_json(v_new) || '{"retired": false}';
  elsif found then
    raise exception using errcode = 'RF008', message = 'Another price began at this very moment. Name a later one.';
  end if;
  -- A card that was scheduled for the same time, and has priced nothing yet, is replaced.
  delete from billing.agent_action_costs
   where action = v_action and account_id = v_account and model = v_model and effective_from = v_from
     and effective_from > clock_timestamp()
  returning * into v_gone;
  select * into v_last from billing.agent_action_costs
   where action = v_action and account_id = v_account and model = v_model and effective_from < v_from
   order by effective_from desc limit 1;
  if v_retire and v_last.action is null and v_gone.action is null then
    raise exception using errcode = 'RF009', message = 'There is no such card to retire.';
  end if;
  if not v_retire and not coalesce((p_card->>'confirm')::boolean, false) then
    perform billing._require_sane_price(p_card, v_last);
  end if;

  select coalesce(min(effective_from), 'infinity') into v_until from billing.agent_action_costs
   where action = v_action and account_id = v_account and model = v_model and effective_from > v_from;
  update billing.agent_action_costs set effective_until = least(effective_until, v_from)
   where action = v_action and account_id = v_account and model = v_model and effective_from = v_last.effective_from
  returning * into v_last;
  if not v_retire then
    insert into billing.agent_action_costs
      (action, account_id, model, credits, rates, unit, description, effective_from, effective_until, created_at)
    values (v_action, v_account, v_model, (p_card->>'credits')::bigint, nullif(p_card->'rates', 'null'), p_card->>'unit',
      p_card->>'description',
      -- Everybody's first price also prices what happened before it.
      case when v_account = '' and v_from <= clock_timestamp() and v_last.action is null then '-infinity' else v_from end,
      v_until, clock_timestamp())
    returning * into v_new;
  end if;
  update billing.agent_action_costs c set is_plain = p.is_plain
    from (select o.ctid as row_id, o.rates is null and not exists (select from billing.agent_action_costs n
             where n.action = v_action and (n.account_id <> '' or n.model <> '')) as is_plain
            from billing.agent_action_costs o where o.action = v_action) p
   where c.ctid = p.row_id and c.is_plain <> p.is_plain;
  insert into billing.audit_log (account_id, actor, action, subject, details)
  values (nullif(v_account, ''), p_actor, 'action_cost.set', v_action, p_card);
  return jsonb_build_object('retired', v_retire) || billing._card_json(
    case when not v_retire then v_new when v_gone.action is not null then v_gone else v_last end);
end $$;
