-- The account's invoices, newest first. Callers: service. Raises RF001 unknown_account, RF009 not_found (cursor).
create or replace function billing.list_invoices(p_account_id text, p_limit integer, p_cursor text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_before billing.invoices;
begin
  perform billing.get_account(p_account_id);
  if p_cursor is not null then
    select * into v_before from billing.invoices where id = p_cursor and account_id = p_account_id;
    if not found then
      raise exception using errcode = 'RF009', message = 'The cursor names no invoice of this account.';
    end if;
  end if;
  return (
    select billing._page(p_limit, jsonb_agg(to_jsonb(i) - 'version' - 'reversals_version' order by i.occurred_at desc, i.id desc), 'id')
      from (select * from billing.invoices
             where account_id = p_account_id
               and (p_cursor is null or (occurred_at, id) < (v_before.occurred_at, v_before.id))
             order by occurred_at desc, id desc limit p_limit + 1) i);
end $$;
