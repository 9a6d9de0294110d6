-- The account's lots, newest first. Callers: service. Raises RF001 unknown_account, RF008 invalid_value (cursor).
create or replace function billing.list_lots(p_account_id text, p_limit integer, p_cursor text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  perform billing.get_account(p_account_id);
  return (
    select billing._page(p_limit, jsonb_agg(billing._lot_json(l) order by l.id desc), 'id')
      from (select * from billing.credit_lots
             where account_id = p_account_id and id < coalesce(p_cursor::bigint, 9223372036854775807)
             order by id desc limit p_limit + 1) l);
end $$;
