-- Lets a lot expire later than it would have; null: never. Its account is told again before the new expiry.
-- Callers: service. Idempotent: a lot that already expires then is answered as it is.
-- Raises RF001 unknown_account, RF008 invalid_value, RF009 not_found, RF010 state_conflict.
create or replace function billing.extend_lot(
  p_account_id text, p_lot_id bigint, p_expires_at timestamptz, p_reason text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance billing.credit_balances := billing._lock_account(p_account_id);
  v_until   timestamptz := coalesce(p_expires_at, 'infinity');
  v_lot     billing.credit_lots;
begin
  if length(coalesce(p_reason, '')) not between 1 and 500 then
    raise exception using errcode = 'RF008', message = 'An extension has a reason, of at most 500 characters.';
  end if;
  select * into v_lot from billing.credit_lots where account_id = p_account_id and id = p_lot_id;
  if not found then
    raise exception using errcode = 'RF009', message = 'The account has no such lot.';
  end if;
  if v_lot.expires_at = v_until then
    return billing._lot_json(v_lot);
  end if;
  -- Not now(), the start of this transaction: while it waited for the account, another may have expired the lot.
  if v_lot.expires_at <= clock_timestamp() then
    raise exception using errcode = 'RF010',
      message = 'The lot has expired, and its credits are gone. Give them back with an adjustment.';
  elsif v_until < v_lot.expires_at then
    raise exception using errcode = 'RF008', message = 'A lot can be extended, not shortened: name a later time than its expiry.';
  end if;

  update billing.credit_lots set expires_at = v_until, expiry_announced = false
   where account_id = p_account_id and id = p_lot_id
  returning * into v_lot;
  update billing.credit_balances
     set next_expiry_at = coalesce((select min(l.expires_at) from billing.credit_lots l
                                     where l.account_id = p_account_id and l.is_open), 'infinity')
   where account_id = p_account_id;
  insert into billing.audit_log (account_id, actor, action, subject, details)
  values (p_account_id, p_actor, 'lot.extended', p_lot_id::text,
    jsonb_build_object('expires_at', nullif(v_until, 'infinity'), 'reason', p_reason));
  return billing._lot_json(v_lot);
end $$;
