-- A page of what was sent to an endpoint, or is to be, newest first. Callers: service. Raises RF009 not_found.
create or replace function billing.list_webhook_deliveries(p_id text, p_account_id text, p_limit integer, p_cursor bigint)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
begin
  perform billing._require_endpoint(p_id, p_account_id);
  return (
    select billing._page(p_limit, jsonb_agg(billing._delivery_json(d) order by d.id desc), 'id')
      from (select * from billing.notice_deliveries
             where endpoint_id = p_id and (p_cursor is null or id < p_cursor)
             order by id desc limit p_limit + 1) d);
end $$;
