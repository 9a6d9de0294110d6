-- Draws up to p_credits from the account's open lots in the burn order and answers what was drawn from which.
-- Internal: the caller holds the account's lock. What the lots do not cover is debt.
create or replace function billing._draw_lots(p_account_id text, p_credits bigint)
  returns billing.lot_draw[]
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_left  bigint := p_credits;
  v_draws billing.lot_draw[] := '{}';
  v_lot   record;
begin
  for v_lot in
    select id, remaining from billing.credit_lots
     where account_id = p_account_id and is_open
     order by priority, expires_at, is_paid, id
  loop
    exit when v_left = 0;
    update billing.credit_lots
       set remaining = remaining - least(remaining, v_left), is_open = remaining > v_left
     where account_id = p_account_id and id = v_lot.id;
    v_draws := v_draws || row(v_lot.id, -least(v_lot.remaining, v_left))::billing.lot_draw;
    v_left := v_left - least(v_lot.remaining, v_left);
  end loop;
  return v_draws;
end $$;
