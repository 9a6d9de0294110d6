-- Another account comes into view. Callers: service, which has looked at the membership. Idempotent.
create or replace function billing.switch_session(p_hash text, p_account_id text)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  update billing.member_sessions set account_id = p_account_id where hash = decode(p_hash, 'hex') returning null::jsonb;
$$;
