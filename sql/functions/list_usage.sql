-- The account's usage events, newest first. Callers: service. Raises RF001 unknown_account, RF008 invalid_value (cursor).
create or replace function billing.list_usage(p_account_id text, p_limit integer, p_cursor text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  perform billing.get_account(p_account_id);
  return (
    select billing._page(p_limit, jsonb_agg(jsonb_build_object('cursor', u.id, 'id', u.event_id,
        'transaction_id', u.transaction_id, 'action', u.action, 'quantity', u.quantity, 'credits', u.credits,
        'agent', u.agent, 'department_id', u.department_id, 'member_id', u.member_id, 'run_id', u.run_id, 'hold_id', u.hold_id,
        'dimensions', u.dimensions, 'metadata', u.metadata, 'occurred_at', u.occurred_at, 'created_at', u.created_at)
        order by u.id desc), 'cursor')
      from (select * from billing.credit_usage
             where account_id = p_account_id and id < coalesce(p_cursor::bigint, 9223372036854775807)
             order by id desc limit p_limit + 1) u);
end $$;
