-- What a payment or an invoice granted, by the source of its lots, and what was taken back of each: the payment itself once
-- it succeeded, or the invoice's lines that granted. Internal.
create or replace function billing._paid_grants(p_paid billing.reversible)
  returns table (source_kind text, source_id text, credits bigint, refunded_credits bigint, disputed_credits bigint,
                 forgone_credits bigint)
  language sql stable security definer set search_path = '' as $$
  select 'payment', p.id, p.credits, p.refunded_credits, p.disputed_credits, p.forgone_credits
    from billing.payments p where p.id = p_paid.payment_id and p.status = 'succeeded'
  union all
  select 'invoice_line', g.id, g.credits, g.refunded_credits, g.disputed_credits, g.forgone_credits
    from billing.subscription_grants g where g.invoice_id = p_paid.invoice_id
  order by 2;
$$;
