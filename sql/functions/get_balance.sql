-- What the account has, holds and may spend, its open lots in burn order, its auto top-up, and how long it lasts.
-- Callers: service. Raises RF001 unknown_account. Lots that expired but are not swept yet count as gone.
-- Runway: days at the pace of the last week (_usage_pace); null without usage.
create or replace function billing.get_balance(p_account_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_balance   billing.credit_balances;
  v_expired   bigint;
  v_lots      jsonb;
  v_available bigint;
  v_per_day   numeric := billing._usage_pace(p_account_id);
begin
  select * into v_balance from billing.credit_balances where account_id = p_account_id;
  if not found then
    raise exception using errcode = 'RF001', message = 'There is no such account.';
  end if;

  select coalesce(sum(l.remaining) filter (where l.expires_at <= now()), 0),
         coalesce(jsonb_agg(billing._lot_json(l) order by l.priority, l.expires_at, l.is_paid, l.id)
           filter (where l.expires_at > now()), '[]')
    into v_expired, v_lots
    from (select * from billing.credit_lots where account_id = p_account_id and is_open
           order by priority, expires_at, is_paid, id limit 100) l;
  v_balance.balance := v_balance.balance - v_expired;
  v_available := greatest(0, v_balance.balance - v_balance.held + v_balance.overdraft);

  return jsonb_build_object(
    'account_id', p_account_id, 'available', v_available, 'held', v_balance.held, 'balance', v_balance.balance,
    'debt', greatest(0, -v_balance.balance), 'status', v_balance.status,
    'pause_reason', case when v_balance.status = 'paused' then billing._pause_reason(p_account_id) end,
    'dispute', billing._open_dispute(p_account_id), 'grace_until', v_balance.grace_until,
    'low', v_available <= billing._next_low_level(p_account_id, 9223372036854775807), 'lots', v_lots,
    'auto_topup', billing.get_auto_topup(p_account_id),
    'runway_days', case when v_per_day > 0 then round(v_available / v_per_day, 1) end);
end $$;
