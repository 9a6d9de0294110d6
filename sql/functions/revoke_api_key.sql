-- Revokes live keys by name or prefix and answers them. Callers: service. Raises RF009 not_found.
create or replace function billing.revoke_api_key(p_name_or_prefix text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_keys jsonb;
begin
  with revoked as (
    update billing.api_keys k set revoked_at = now()
     where (k.name = p_name_or_prefix or k.prefix = p_name_or_prefix) and k.revoked_at is null
    returning k.*)
  select jsonb_agg(billing._api_key_json(r::billing.api_keys)) into v_keys from revoked r;
  if v_keys is null then
    raise exception using errcode = 'RF009', message = 'No live key has this name or prefix.';
  end if;
  insert into billing.audit_log (account_id, actor, action, subject)
  select k->>'account_id', 'cli', 'api_key.revoked', k->>'prefix' from jsonb_array_elements(v_keys) k;
  return v_keys;
end $$;
