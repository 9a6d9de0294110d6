-- The entries of a statement, in the order of booking, a page at a time: p_after is the id of the last one before. paid: of those
-- that were paid for, what was charged, what promotion codes took off (minor units), and the currency.
-- Callers: service. Raises RF001 unknown_account.
create or replace function billing.list_statement_entries(p_account_id text, p_month date, p_after bigint, p_limit integer)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  perform billing.get_account(p_account_id);
  return (
    select coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'kind', t.kind, 'counter_account', t.counter_account,
        'credits', t.amount, 'balance_after', t.balance_after, 'source_kind', t.source_kind, 'source_id', t.source_id,
        'draws', (select coalesce(jsonb_agg(jsonb_build_object('lot_id', w.lot_id, 'credits', w.amount)), '[]')
                    from unnest(t.draws) w),
        'paid', (select jsonb_build_object('amount', p.amount, 'discount', p.discount, 'currency', p.currency)
                   from billing.payments p
                  where t.source_kind = 'payment' and t.kind in ('purchase', 'topup') and p.id = t.source_id
                  union all
                 select jsonb_build_object('amount', g.amount, 'discount', 0, 'currency', g.currency)
                   from billing.subscription_grants g
                  where t.source_kind = 'invoice_line' and t.kind = 'subscription' and g.id = t.source_id),
        'occurred_at', t.occurred_at, 'created_at', t.created_at) order by t.id), '[]')
      from (select * from billing.credit_transactions
             where account_id = p_account_id and id > p_after
               and created_at >= p_month::timestamp at time zone 'UTC'
               and created_at < (p_month + interval '1 month')::timestamp at time zone 'UTC'
             order by id limit p_limit) t);
end $$;
