-- What the account paid or was asked to pay, newest first: payments of credits and Stripe's invoices of subscriptions in one
-- list, each with its refunds and disputes. Callers: service. Raises RF001 unknown_account, RF009 not_found (cursor).
create or replace function billing.list_charges(p_account_id text, p_limit integer, p_cursor text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_before timestamptz;
begin
  perform billing.get_account(p_account_id);
  if p_cursor is not null then
    select at into v_before from (
      select created_at from billing.payments where id = p_cursor and account_id = p_account_id
      union all select occurred_at from billing.invoices where id = p_cursor and account_id = p_account_id) c (at);
    if not found then
      raise exception using errcode = 'RF009', message = 'The cursor names no payment and no invoice of this account.';
    end if;
  end if;
  return (
    select billing._page(p_limit, jsonb_agg(row.facts || jsonb_build_object('reversals', (
        select coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'kind', r.kind, 'amount', r.amount, 'status', r.status,
            'is_taken', r.is_taken, 'is_open', r.is_open, 'reason', r.reason, 'occurred_at', r.occurred_at)
          order by r.occurred_at, r.id), '[]')
          from billing.payment_reversals r
         -- A warning of fraud is for operators.
         where r.kind <> 'fraud_warning' and (r.payment_id = row.id or r.invoice_id = row.id)))
      order by row.at desc, row.id desc), 'id')
      from (
        (select p.created_at as at, p.id, jsonb_build_object('kind', p.purpose, 'number', null, 'hosted_url', null, 'pdf_url', null)
             || billing._payment_json(p) - 'account_id' as facts
           from billing.payments p
          where p.account_id = p_account_id and (p_cursor is null or (p.created_at, p.id) < (v_before, p_cursor))
          order by p.created_at desc, p.id desc limit p_limit + 1)
        union all
        (select i.occurred_at, i.id, jsonb_build_object('id', i.id, 'kind', 'invoice', 'status', i.status, 'reason',
              i.billing_reason, 'number', i.number, 'amount', case when i.status = 'paid' then i.amount_paid else i.amount_due end,
              'discount', 0, 'currency', i.currency, 'credits', (select sum(g.credits) from billing.subscription_grants g where g.invoice_id = i.id),
              'receipt_url', null, 'hosted_url', i.hosted_url, 'pdf_url', i.pdf_url, 'action_required', false,
              'created_at', i.occurred_at, 'paid_at', null)
           from billing.invoices i
          where i.account_id = p_account_id and (p_cursor is null or (i.occurred_at, i.id) < (v_before, p_cursor))
          order by i.occurred_at desc, i.id desc limit p_limit + 1)
        order by at desc, id desc limit p_limit + 1) row);
end $$;
