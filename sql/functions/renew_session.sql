-- Keeps the session's new tokens. Callers: service. Idempotent.
create or replace function billing.renew_session(p_hash text, p_tokens text, p_token_seconds integer)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  update billing.member_sessions
     set tokens = decode(p_tokens, 'hex'), token_expires_at = now() + make_interval(secs => p_token_seconds),
         refreshing_until = '-infinity'
   where hash = decode(p_hash, 'hex')
  returning null::jsonb;
$$;
