-- Ends the session. Callers: service. Idempotent.
create or replace function billing.close_session(p_hash text)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  delete from billing.member_sessions where hash = decode(p_hash, 'hex') returning null::jsonb;
$$;
