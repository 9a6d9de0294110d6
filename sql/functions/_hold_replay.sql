-- The hold that was placed before under the id, or null. Internal. Raises RF005 idempotency_conflict when it was placed
-- for something else.
create or replace function billing._hold_replay(p_account_id text, p_hold_id text, p_fingerprint uuid)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_mark uuid;
begin
  select fingerprint into v_mark from billing.credit_holds where account_id = p_account_id and id = p_hold_id;
  if not found then
    return null;
  end if;
  if v_mark <> p_fingerprint then
    raise exception using errcode = 'RF005', message = 'This hold id was used before for something else. Use a new id.';
  end if;
  return billing._hold_json(p_account_id, p_hold_id) || '{"replayed": true, "topup_due": false}';
end $$;
