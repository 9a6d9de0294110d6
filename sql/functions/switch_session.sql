-- Another account comes into view; the person's next session begins there, and the account's owners see the address.
-- Callers: service, which has looked at the membership. Idempotent.
create or replace function billing.switch_session(p_hash text, p_account_id text)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  with switched as (
    update billing.member_sessions set account_id = p_account_id where hash = decode(p_hash, 'hex') returning user_id, email)
  update billing.account_members m set viewed_at = now(), email = coalesce(s.email, m.email)
    from switched s where m.user_id = s.user_id and m.account_id = p_account_id returning null::jsonb;
$$;
