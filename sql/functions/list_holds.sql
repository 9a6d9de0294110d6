-- The account's holds, newest first, of one state if given. Callers: service.
-- Raises RF001 unknown_account, RF008 invalid_value (state, cursor). The cursor is the time and id of the last hold.
create or replace function billing.list_holds(p_account_id text, p_limit integer, p_cursor text, p_state text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_at timestamptz := coalesce(split_part(p_cursor, '|', 1), 'infinity')::timestamptz;
  v_id text := substr(p_cursor, strpos(p_cursor, '|') + 1);
begin
  perform billing.get_account(p_account_id);
  return (
    select billing._page(p_limit, jsonb_agg(billing._hold_json(h.account_id, h.id)
        || jsonb_build_object('cursor', h.created_at::text || '|' || h.id) order by h.created_at desc, h.id desc), 'cursor')
      from (select * from billing.credit_holds
             where account_id = p_account_id and state = coalesce(p_state::billing.hold_state, state)
               and (created_at < v_at or (created_at = v_at and id < v_id))
             order by created_at desc, id desc limit p_limit + 1) h);
end $$;
