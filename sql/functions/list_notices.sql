-- The newest deliveries of notices, of one state if given. Callers: service.
create or replace function billing.list_notices(p_state text, p_limit integer)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(billing._delivery_json(d) order by d.id desc), '[]')
    from (select * from billing.notice_deliveries where p_state is null or state = p_state order by id desc limit p_limit) d;
$$;
