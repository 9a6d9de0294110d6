-- The account's limits with what is used of them. Callers: service. Raises RF001 unknown_account.
create or replace function billing.list_limits(p_account_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  perform billing.get_account(p_account_id);
  return (select coalesce(jsonb_agg(billing._limit_json(l) order by l.scope, l.scope_id,
            array_position(array['day', 'week', 'month'], l.period)), '[]')
            from billing.credit_limits l where l.account_id = p_account_id);
end $$;
