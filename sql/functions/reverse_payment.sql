-- Brings a payment, or an invoice, to what Stripe says of it now: p_facts lists all of its refunds and disputes, each with id, amount (minor
-- units), status, reason, created (epoch seconds); disputes with withdrawn (the funds have left). Credits are taken back by
-- the share of the price that is gone, at most the grant, and come back when a refund fails or a dispute is won; an open
-- dispute freezes the account by p_facts.freeze_on, the setting FREEZE_ON (dispute when left out). Any order and number of calls with the same facts ends in the same books.
-- p_version is what get_reversals answered before Stripe was read; another reading since: stale, and nothing changes.
-- Callers: service. Raises RF009 not_found.
create or replace function billing.reverse_payment(
  p_payment_id text, p_version bigint, p_facts jsonb, p_invoice_id text default null)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_paid    billing.reversible := billing._reversible(p_payment_id, p_invoice_id);
  v_credits bigint;
begin
  perform billing._lock_account(v_paid.account_id);
  v_paid := billing._reversible(p_payment_id, p_invoice_id); -- as it is now that nobody else changes it
  if v_paid.version <> p_version then
    return jsonb_build_object('outcome', 'stale', 'account_id', v_paid.account_id, 'credits', 0, 'topup_due', false);
  end if;
  update billing.payments set reversals_version = reversals_version + 1 where id = v_paid.payment_id;
  update billing.invoices set reversals_version = reversals_version + 1 where id = v_paid.invoice_id;
  perform billing._mirror_reversals(v_paid, p_facts);
  v_credits := billing._apply_reversals(p_payment_id, p_invoice_id);
  perform billing._derive_status(v_paid.account_id);
  return jsonb_build_object('outcome', 'reversed', 'account_id', v_paid.account_id, 'credits', v_credits,
    'topup_due', (select coalesce(topup_due_at <= now(), false) from billing.credit_balances
                   where account_id = v_paid.account_id));
end $$;
