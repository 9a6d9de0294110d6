-- All keys, newest first. Callers: service.
create or replace function billing.list_api_keys()
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(billing._api_key_json(k) order by k.created_at desc, k.id), '[]') from billing.api_keys k;
$$;
