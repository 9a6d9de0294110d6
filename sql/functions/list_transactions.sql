-- The account's ledger, newest first, of one kind if given. Callers: service.
-- Raises RF001 unknown_account, RF008 invalid_value (cursor).
create or replace function billing.list_transactions(p_account_id text, p_limit integer, p_cursor text, p_kind text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  perform billing.get_account(p_account_id);
  return (
    select billing._page(p_limit, jsonb_agg(jsonb_build_object('id', t.id, 'kind', t.kind, 'credits', t.amount,
        'balance_after', t.balance_after, 'source_kind', t.source_kind, 'source_id', t.source_id,
        'draws', coalesce((select jsonb_agg(jsonb_build_object('lot_id', d.lot_id, 'credits', d.amount))
                             from unnest(t.draws) d), '[]'),
        'occurred_at', t.occurred_at, 'created_at', t.created_at) order by t.id desc), 'id')
      from (select * from billing.credit_transactions
             where account_id = p_account_id and id < coalesce(p_cursor::bigint, 9223372036854775807)
               and (p_kind is null or kind = p_kind)
             order by id desc limit p_limit + 1) t);
end $$;
