-- The endpoints of an account, or all (p_account_id null), oldest first. Callers: service. Raises RF001 unknown_account.
create or replace function billing.list_webhook_endpoints(p_account_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  if p_account_id is not null then
    perform billing.get_account(p_account_id);
  end if;
  return (select coalesce(jsonb_agg(billing._endpoint_json(e) order by e.created_at, e.id), '[]')
            from billing.webhook_endpoints e where p_account_id is null or e.account_id = p_account_id);
end $$;
