-- The first answer to an event id that was booked before, or null. Internal. Raises RF005 idempotency_conflict when the
-- id was used for other content.
create or replace function billing._spend_replay(p_account_id text, p_event_id text, p_fingerprint uuid)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_key billing.credit_usage_keys;
begin
  select * into v_key from billing.credit_usage_keys where account_id = p_account_id and event_id = p_event_id;
  if not found then
    return null;
  end if;
  if v_key.fingerprint <> p_fingerprint then
    raise exception using errcode = 'RF005', message = 'This id was used before for something else. Use a new id.';
  end if;
  return (
    select jsonb_build_object('transaction_id', v_key.transaction_id, 'credits', v_key.credits,
      'available', greatest(0, b.balance - b.held + b.overdraft), 'status', b.status,
      'replayed', true, 'topup_due', false)
    from billing.credit_balances b where b.account_id = p_account_id);
end $$;
