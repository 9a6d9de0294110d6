-- The live key with this SHA-256 (hex), or null. Callers: service.
create or replace function billing.find_api_key(p_hash text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select billing._api_key_json(k) from billing.api_keys k where k.hash = decode(p_hash, 'hex') and k.revoked_at is null;
$$;
