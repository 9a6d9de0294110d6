-- Spends once for p_event->>'id': prices the action (or takes p_event->'amount', micro-credits), checks, debits, books;
-- with hold_id from that hold. Callers: service. Idempotent by account and event id: the same content answers the first
-- result, decided before the balance is looked at.
-- Raises RF001 unknown_account, RF002 insufficient_credits, RF003 limit_reached, RF004 account_paused,
-- RF005 idempotency_conflict, RF006 unknown_action, RF008 invalid_value, RF016 unknown_model, RF017 unknown_dimension.
-- The guarded update is lock and check in one statement; what stands in its way is looked at only when it fails.
create or replace function billing.spend_credits(p_account_id text, p_event jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_event_id    text := p_event->>'id';
  v_fingerprint uuid := md5(p_event::text)::uuid;
  v_action      text := p_event->>'action';
  v_quantity    bigint := coalesce((p_event->>'quantity')::bigint, 1);
  v_credits     bigint := (p_event->>'amount')::bigint;
  v_occurred_at timestamptz := coalesce((p_event->>'occurred_at')::timestamptz, now());
  -- Scalars, since filling a composite variable costs more than the whole update.
  v_balance     bigint;
  v_available   bigint;
  v_level       bigint;
  v_status      text;
  v_limited     boolean;
  v_answer      jsonb;
  v_lot         bigint;
  v_draws       billing.lot_draw[];
  v_txn         bigint;
  v_due         boolean := false;
begin
  if v_credits is null then
    -- Most actions have one price. Above the bound it is refused below; as numeric it cannot overflow before.
    select least(c.credits::numeric * v_quantity, 2000000000000000)::bigint into v_credits
      from billing.agent_action_costs c
     where c.action = v_action and c.is_plain and c.effective_from <= now() and c.effective_until > now();
    v_credits := coalesce(v_credits, (billing._price_event(p_account_id, p_event, now())).credits);
  end if;
  if p_event ? 'hold_id' then
    return billing._spend_from_hold(p_account_id, p_event, v_fingerprint, v_credits);
  end if;

  loop
    update billing.credit_balances b
       set balance = b.balance - v_credits
     where b.account_id = p_account_id
       and b.balance - b.held + b.overdraft >= v_credits
       and v_credits between 1 and 1000000000000000
       and length(v_event_id) between 1 and 255
       and b.next_expiry_at > now()
       and b.status <> 'paused'
    returning b.balance, b.balance - b.held + b.overdraft, b.status, b.limited,
           greatest(b.topup_trigger, b.low_threshold) - (b.balance - b.held)
      into v_balance, v_available, v_status, v_limited, v_level;
    exit when found;
    v_answer := billing._spend_obstacle(p_account_id, p_event, v_fingerprint, v_credits);
    if v_answer is not null then
      return v_answer;
    end if;
  end loop;

  v_txn := nextval('billing.credit_transactions_id_seq');
  insert into billing.credit_usage_keys (account_id, event_id, fingerprint, transaction_id, credits)
  values (p_account_id, v_event_id, v_fingerprint, v_txn, v_credits)
  on conflict do nothing;
  if not found then
    update billing.credit_balances set balance = balance + v_credits where account_id = p_account_id;
    return billing._spend_replay(p_account_id, v_event_id, v_fingerprint);
  end if;

  -- Nearly every spend fits into the first lot of the burn order. By ctid, which the account's lock keeps still, instead
  -- of a second index look-up.
  update billing.credit_lots l
     set remaining = l.remaining - v_credits, is_open = l.remaining > v_credits
   where l.remaining >= v_credits
     and l.ctid = (select f.ctid from billing.credit_lots f where f.account_id = p_account_id and f.is_open
                    order by f.priority, f.expires_at, f.is_paid, f.id limit 1)
  returning l.id into v_lot;
  v_draws := case when found then array[row(v_lot, -v_credits)::billing.lot_draw]
                  else billing._draw_lots(p_account_id, v_credits) end;

  insert into billing.credit_transactions
    (account_id, id, kind, counter_account, amount, balance_after, draws, source_kind, source_id, occurred_at)
  overriding system value
  values (p_account_id, v_txn, 'usage', 'usage', -v_credits, v_balance, v_draws, 'usage', v_event_id, v_occurred_at);

  insert into billing.credit_usage
    (account_id, event_id, transaction_id, action, quantity, credits, agent, department_id, member_id, run_id,
     dimensions, metadata, occurred_at)
  values (p_account_id, v_event_id, v_txn, v_action, v_quantity, v_credits, p_event->>'agent',
    p_event->>'department_id', p_event->>'member_id', p_event->>'run_id', p_event->'dimensions', p_event->'metadata',
    v_occurred_at);

  if v_limited then
    perform billing._limit_spend(p_account_id, p_event, v_credits);
  end if;
  if v_level >= 0 then
    v_due := billing._mark_crossings(p_account_id, 'entry');
  end if;
  return jsonb_build_object('transaction_id', v_txn, 'credits', v_credits,
    'available', v_available, 'status', v_status, 'replayed', false, 'topup_due', v_due);
end $$;
