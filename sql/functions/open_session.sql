-- Opens a session for 14 days; p_hash is the SHA-256 of its id in hex, p_tokens what is encrypted, in hex. It begins in the
-- account p_account_id, else in the one that the person had in view last, if still a member. The mail address is kept with
-- memberships whose account the person has opened before: who adds a stranger by id does not learn it. Ended sessions go.
-- Callers: service. Idempotent by p_hash.
create or replace function billing.open_session(
  p_hash text, p_user_id uuid, p_email text, p_account_id text, p_tokens text, p_token_seconds integer)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account_id text := coalesce(p_account_id, (
    select account_id from billing.account_members
     where user_id = p_user_id and viewed_at is not null order by viewed_at desc, account_id limit 1));
begin
  delete from billing.member_sessions
   where hash in (select hash from billing.member_sessions where expires_at < now() limit 100 for update skip locked);
  insert into billing.member_sessions (hash, user_id, email, account_id, tokens, token_expires_at, expires_at)
  values (decode(p_hash, 'hex'), p_user_id, p_email, v_account_id, decode(p_tokens, 'hex'),
          coalesce(now() + make_interval(secs => p_token_seconds), 'infinity'), now() + interval '14 days')
  on conflict (hash) do nothing;
  update billing.account_members
     set email = coalesce(p_email, email), viewed_at = case when account_id = v_account_id then now() else viewed_at end
   where user_id = p_user_id and (account_id = v_account_id or viewed_at is not null);
  return null;
end $$;
