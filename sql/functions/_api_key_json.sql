-- An API key as callers see it: never its hash. Internal.
create or replace function billing._api_key_json(p_key billing.api_keys)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('id', p_key.id, 'name', p_key.name, 'prefix', p_key.prefix, 'scopes', p_key.scopes,
    'account_id', p_key.account_id, 'created_at', p_key.created_at, 'revoked_at', p_key.revoked_at);
$$;
