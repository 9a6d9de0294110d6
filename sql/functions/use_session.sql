-- The session with this hash, or null when there is none or it has ended. `refresh`: this caller, and for 15 seconds no other,
-- renews the tokens, which end within a minute. `stale`: the access token has ended. Callers: service.
create or replace function billing.use_session(p_hash text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_hash    bytea := decode(p_hash, 'hex');
  v_refresh boolean;
begin
  update billing.member_sessions set refreshing_until = now() + interval '15 seconds'
   where hash = v_hash and expires_at > now() and token_expires_at < now() + interval '60 seconds' and refreshing_until < now();
  v_refresh := found;
  return (
    select jsonb_build_object('user_id', user_id, 'email', email, 'account_id', account_id, 'tokens', encode(tokens, 'hex'),
             'refresh', v_refresh, 'stale', token_expires_at <= now())
      from billing.member_sessions where hash = v_hash and expires_at > now());
end $$;
