-- What freezes the account, or did before an operator lifted it: its open disputes and inquiries, and a grace that is over
-- (id grace). [{id, kind, status, amount, currency, payment_id, invoice_id, reason, since, frozen, lifted_at, lifted_by,
-- lift_reason}], those that freeze first.
-- Callers: service. Raises RF001 unknown_account.
create or replace function billing.list_freezes(p_account_id text)
  returns jsonb
  language plpgsql stable security definer set search_path = '' as $$
begin
  perform billing.get_account(p_account_id);
  return (
    select coalesce(jsonb_agg(to_jsonb(f) order by f.frozen desc, f.since, f.id), '[]')
      from (select r.id, case when billing._is_inquiry(r.status) then 'inquiry' else 'dispute' end as kind, r.status, r.amount,
                   coalesce(p.currency, i.currency)::text as currency, r.payment_id, r.invoice_id, r.reason,
                   r.occurred_at as since, billing._freezes(r) as frozen, r.lifted_at, r.lifted_by, r.lift_reason
              from billing.payment_reversals r
              left join billing.payments p on p.id = r.payment_id
              left join billing.invoices i on i.id = r.invoice_id
             where r.account_id = p_account_id and r.is_open
            union all
            select 'grace', 'grace', null, null, null, null, null, null, b.grace_until, true, null, null, null
              from billing.credit_balances b
             where b.account_id = p_account_id and b.grace_until <= now()) f);
end $$;
