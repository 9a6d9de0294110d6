-- Stores the hash of a platform's key. Callers: service. Idempotent by p_id.
-- Raises RF001 unknown_account, RF008 invalid_value (unknown scope).
create or replace function billing.create_api_key(
  p_id text, p_name text, p_prefix text, p_hash text, p_scopes text[], p_account_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  if p_account_id is not null then
    perform billing.get_account(p_account_id);
  end if;
  insert into billing.api_keys (id, name, prefix, hash, scopes, account_id)
  values (p_id, p_name, p_prefix, decode(p_hash, 'hex'), p_scopes, p_account_id)
  on conflict (id) do nothing;
  if found then
    insert into billing.audit_log (account_id, actor, action, subject, details)
    values (p_account_id, 'cli', 'api_key.created', p_prefix, jsonb_build_object('name', p_name, 'scopes', p_scopes));
  end if;
  return (select billing._api_key_json(k) from billing.api_keys k where k.id = p_id);
end $$;
