-- Usage that waits for a price or for an operator, newest first. Callers: service. Raises RF008 invalid_value (cursor).
create or replace function billing.list_parked_usage(p_limit integer, p_cursor text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select billing._page(p_limit, jsonb_agg(to_jsonb(p) order by p.id desc), 'id')
    from (select id, account_id, event_id, code, event, created_at, tried_at from billing.parked_usage
           where resolved_at is null and id < coalesce(p_cursor::bigint, 9223372036854775807)
           order by id desc limit p_limit + 1) p;
$$;
