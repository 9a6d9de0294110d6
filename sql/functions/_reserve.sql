-- Reserves p_credits for a hold from the account (p_parent_id null) or from a hold, or refuses and names what bound: the balance, the
-- run, or the limit of one of p_subjects. Answers whether a top-up check became due.
-- Internal. Locks the account.
-- Raises RF001 unknown_account, RF002 insufficient_credits, RF003 limit_reached, RF004 account_paused, RF009 not_found (the
-- parent), RF010 state_conflict (the parent is closed).
create or replace function billing._reserve(p_account_id text, p_hold_id text, p_parent_id text, p_credits bigint, p_subjects text[])
  returns boolean
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_limited boolean;
  v_level   bigint;
  v_balance billing.credit_balances;
begin
  if p_parent_id is null then
    loop
      update billing.credit_balances b
         set held = b.held + p_credits
       where b.account_id = p_account_id
         and b.balance - b.held + b.overdraft >= p_credits
         and b.next_expiry_at > now()
         and b.status <> 'paused'
      returning b.limited, greatest(b.topup_trigger, b.low_threshold) - (b.balance - b.held) into v_limited, v_level;
      exit when found;
      perform billing._balance_obstacle(billing._lock_account(p_account_id), p_credits);
    end loop;
  else
    v_balance := billing._lock_account(p_account_id);
    v_limited := v_balance.limited;
    if v_balance.status = 'paused' then
      perform billing._balance_obstacle(v_balance, p_credits);
    end if;
    perform billing._require_room(p_account_id, p_parent_id, p_credits);
    update billing.credit_holds set reserved = reserved + p_credits where account_id = p_account_id and id = p_parent_id;
  end if;
  if v_limited then
    perform billing._hold_limits(p_account_id, p_subjects, p_credits);
  end if;
  return v_level >= 0 and billing._mark_crossings(p_account_id, 'hold:' || p_hold_id);
end $$;
