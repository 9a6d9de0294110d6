-- An early fraud warning of Stripe's (radar.early_fraud_warning) for a payment or an invoice: automatic charges pause
-- until a person resumes them, and operators are told, who may refund before it becomes a dispute. Credits stay.
-- Callers: service.
-- Idempotent by p_warning_id. Raises RF009 not_found.
create or replace function billing.warn_of_fraud(
  p_warning_id text, p_payment_id text, p_fraud_type text, p_invoice_id text default null)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_paid billing.reversible := billing._reversible(p_payment_id, p_invoice_id);
begin
  perform billing._lock_account(v_paid.account_id);
  insert into billing.payment_reversals
    (id, account_id, payment_id, invoice_id, kind, amount, status, is_taken, is_open, reason, occurred_at)
  values (p_warning_id, v_paid.account_id, p_payment_id, p_invoice_id, 'fraud_warning', 0, 'created', false, false, p_fraud_type,
    now())
  on conflict (id) do nothing;
  if found then
    update billing.auto_topup_settings set paused_reason = 'fraud_warning'
     where account_id = v_paid.account_id and paused_reason is null;
    perform billing._mark_crossings(v_paid.account_id, null);
    perform billing._arm_topup(v_paid.account_id);
    perform billing._notify(v_paid.account_id, 'operations.fraud_warning', p_warning_id, jsonb_build_object(
      'payment_id', p_payment_id, 'invoice_id', p_invoice_id, 'account_id', v_paid.account_id, 'fraud_type', p_fraud_type,
      'amount', v_paid.amount, 'currency', v_paid.currency));
  end if;
  return jsonb_build_object('account_id', v_paid.account_id);
end $$;
