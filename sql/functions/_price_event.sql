-- What an event costs (micro-credits), by the card of its action, model and account that was in force at p_at; or a code:
-- unknown_action, unknown_model (the action has cards by model, none for this one), unknown_dimension (the card prices
-- dimensions, but not all of the event's). A code and no price is parked or refused, never free. Internal; changes nothing.
-- A card of the account goes before everybody's.
create or replace function billing._price_event(p_account_id text, p_event jsonb, p_at timestamptz)
  returns billing.price
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_action text := p_event->>'action';
  v_model  text := p_event#>>'{dimensions,model}';
  v_card   billing.agent_action_costs;
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

  return billing._rate(v_card.credits, v_card.rates, (p_event->>'quantity')::bigint, p_event->'dimensions');
end $$;
