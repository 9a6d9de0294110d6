-- What an event costs (micro-credits), by the card of its action, model and account that was in force at p_at; or a code:
-- unknown_action, unknown_model (the action has cards by model, none for this one), unknown_dimension (the card prices
-- dimensions, but not all of the event's). A code and no price is parked or refused, never free. Internal; changes nothing.
-- A card of the account goes before everybody's. Rounded up to a micro-credit, once, at the end.
create or replace function billing._price_event(p_account_id text, p_event jsonb, p_at timestamptz)
  returns billing.price
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_action   text := p_event->>'action';
  v_model    text := p_event#>>'{dimensions,model}';
  v_quantity numeric := coalesce((p_event->>'quantity')::bigint, 1);
  v_card     billing.agent_action_costs;
  v_total    numeric;
begin
  select * into v_card from billing.agent_action_costs c
   where c.action = v_action and c.account_id in ('', p_account_id) and c.model = coalesce(v_model, '')
     and c.effective_from <= p_at and c.effective_until > p_at
   order by c.account_id desc limit 1;
  if not found and v_model is not null and not exists (
    select from billing.agent_action_costs c
     where c.action = v_action and c.account_id in ('', p_account_id) and c.model <> ''
       and c.effective_from <= p_at and c.effective_until > p_at)
  then
    select * into v_card from billing.agent_action_costs c
     where c.action = v_action and c.account_id in ('', p_account_id) and c.model = ''
       and c.effective_from <= p_at and c.effective_until > p_at
     order by c.account_id desc limit 1;
  end if;
  if v_card.action is null then
    return row(null, case when exists (select from billing.agent_action_costs c
        where c.action = v_action and c.account_id in ('', p_account_id)
          and c.effective_from <= p_at and c.effective_until > p_at)
      then 'unknown_model' else 'unknown_action' end)::billing.price;
  end if;

  v_total := coalesce(v_card.credits, 0) * v_quantity;
  if v_card.rates is not null then
    -- A pool without a rate makes the sum null; a negative one cannot be meant.
    select v_total + coalesce(case when bool_and(v_card.rates ? d.key)
             then sum(case when d.value::numeric < 0 then 'NaN' else d.value::numeric
                      * (v_card.rates#>>array[d.key, 'credits'])::numeric / (v_card.rates#>>array[d.key, 'per'])::numeric end)
             else null end, case when count(*) = 0 then 0 end)
      into v_total
      from jsonb_each(coalesce(p_event->'dimensions', '{}')) d where jsonb_typeof(d.value) = 'number';
    if v_total is null then
      return row(null, 'unknown_dimension')::billing.price;
    end if;
  end if;
  -- Zero and NaN are refused by the bounds of every movement; above them is cut to what they refuse.
  return row(case when v_total = 'NaN' then 0 else least(ceil(v_total), 2000000000000000) end, null)::billing.price;
end $$;
