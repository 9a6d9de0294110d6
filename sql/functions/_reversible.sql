-- What may be refunded or disputed, by the one id that is given: a payment of ours, or an invoice. amount: what was paid; of
-- an invoice with what credit prorations and the customer's balance paid of its lines, so that a refund takes back no more
-- than its share. Internal. Raises RF009 not_found.
create or replace function billing._reversible(p_payment_id text, p_invoice_id text)
  returns billing.reversible
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_paid billing.reversible;
begin
  select p.id, null, p.account_id, p.amount, p.currency, p.reversals_version into v_paid
    from billing.payments p where p.id = p_payment_id and p_invoice_id is null
  union all
  select null, i.id, i.account_id, i.amount_paid + i.credited_amount, i.currency, i.reversals_version
    from billing.invoices i where i.id = p_invoice_id and p_payment_id is null;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such payment or invoice.';
  end if;
  return v_paid;
end $$;
