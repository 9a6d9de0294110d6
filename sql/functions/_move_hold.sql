-- Charges p_credits through a hold and gives it p_state, all the way up its tree: what was held for them is held no
-- longer. Answers by how much the account holds less (zero or negative); the caller books that and the debit.
-- p_subjects and p_used say whose limits the charge counts against; p_strict as in _count_limits.
-- Internal: the caller holds the account's lock. A closed hold holds nothing, so a charge through it falls to its parent.
create or replace function billing._move_hold(
  p_account_id text, p_hold_id text, p_credits bigint, p_state billing.hold_state, p_limited boolean,
  p_subjects text[] default '{}', p_used bigint[] default '{}', p_strict boolean default false)
  returns bigint
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_id       text := p_hold_id;
  v_own      boolean := true;
  v_delta    bigint := 0;
  v_before   bigint;
  v_parent   text;
  v_held_by  text[];
  v_subjects text[] := p_subjects;
  v_used     bigint[] := p_used;
  v_held     bigint[] := array_fill(0::bigint, array[cardinality(p_subjects)]);
begin
  loop
    select h.remaining into strict v_before from billing.credit_holds h where h.account_id = p_account_id and h.id = v_id;
    update billing.credit_holds h
       set spent = h.spent + p_credits, settled = h.settled + case when v_own then p_credits else 0 end,
           reserved = h.reserved + v_delta, state = case when v_own then p_state else h.state end,
           closed_at = case when v_own and p_state <> 'open' then coalesce(h.closed_at, now()) else h.closed_at end
     where h.account_id = p_account_id and h.id = v_id
    returning h.remaining - v_before, h.parent_id, h.subjects into v_delta, v_parent, v_held_by;
    if p_limited and v_delta <> 0 and cardinality(v_held_by) > 0 then
      v_subjects := v_subjects || v_held_by;
      v_used := v_used || array_fill(0::bigint, array[cardinality(v_held_by)]);
      v_held := v_held || array_fill(v_delta, array[cardinality(v_held_by)]);
    end if;
    exit when v_parent is null or (p_credits = 0 and v_delta = 0);
    v_id := v_parent;
    v_own := false;
  end loop;
  if p_limited and cardinality(v_subjects) > 0 then
    perform billing._count_limits(array_fill(p_account_id, array[cardinality(v_subjects)]), v_subjects, v_used, v_held,
      array_fill(now(), array[cardinality(v_subjects)]), p_strict);
  end if;
  -- Stopped below the root: nothing changes for the account.
  return case when v_parent is null then v_delta else 0 end;
end $$;
