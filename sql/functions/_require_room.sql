-- Refuses unless the hold is open and has p_credits that neither it nor its children have used or reserved.
-- Internal: the caller holds the account's lock. Raises RF003 limit_reached (binding run), RF009 not_found, RF010
-- state_conflict.
create or replace function billing._require_room(p_account_id text, p_hold_id text, p_credits bigint)
  returns void
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_hold billing.credit_holds := billing._find_hold(p_account_id, p_hold_id);
begin
  if v_hold.state <> 'open' then
    raise exception using errcode = 'RF010', message = format('The hold is %s: nothing more can be reserved or spent from it.', v_hold.state),
      detail = jsonb_build_object('state', v_hold.state)::text;
  end if;
  if v_hold.amount - v_hold.spent - v_hold.reserved < p_credits then
    raise exception using errcode = 'RF003', message = 'This would pass the budget of the run.',
      detail = jsonb_build_object('binding', 'run', 'hold_id', p_hold_id, 'needed', p_credits, 'topup', null,
        'available', greatest(0, v_hold.amount - v_hold.spent - v_hold.reserved))::text;
  end if;
end $$;
