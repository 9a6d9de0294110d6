-- Tells the account that a limit refused something, once a window: a refusal leaves nothing behind, so it cannot do it
-- itself. Callers: service. Repeatable. Raises RF001 unknown_account.
create or replace function billing.announce_limit(p_account_id text, p_scope text, p_scope_id text, p_window text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  perform billing._lock_account(p_account_id);
  perform billing._announce_limit(p_account_id, p_scope || ':' || p_scope_id, p_window);
  return 'null';
end $$;
