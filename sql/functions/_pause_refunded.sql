-- Pauses auto top-up when the whole of a payment or invoice has been refunded: whoever gave the money back, or asked for it,
-- does not want the card charged again before a person says so. A part of it only waits for the next spend. It takes the
-- place of a pause that another card would end.
-- Internal: the caller holds the account's lock, has mirrored the refunds, and arms afterwards.
create or replace function billing._pause_refunded(p_paid billing.reversible)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
begin
  if p_paid.amount = 0 or p_paid.amount > (
      select coalesce(sum(amount), 0) from billing.payment_reversals
       where kind = 'refund' and is_taken and (payment_id = p_paid.payment_id or invoice_id = p_paid.invoice_id)) then
    return;
  end if;
  update billing.auto_topup_settings set paused_reason = 'refunded'
   where account_id = p_paid.account_id and enabled and (paused_reason is null or billing._is_card_pause(paused_reason));
  if found then
    perform billing._notify(p_paid.account_id, 'topup.paused',
      concat_ws(':', coalesce(p_paid.payment_id, p_paid.invoice_id), 'refunded', extract(epoch from now())),
      jsonb_build_object('reason', 'refunded', 'payment_id', p_paid.payment_id, 'invoice_id', p_paid.invoice_id,
        'amount', p_paid.amount, 'currency', p_paid.currency));
  end if;
end $$;
