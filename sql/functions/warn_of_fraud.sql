-- An early fraud warning of Stripe's (radar.early_fraud_warning) for a payment: automatic charges pause until a person
-- resumes them, and operators are told, who may refund before it becomes a dispute. Credits stay. Callers: service.
-- Idempotent by p_warning_id. Raises RF009 not_found.
create or replace function billing.warn_of_fraud(p_warning_id text, p_payment_id text, p_fraud_type text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_payment billing.payments;
begin
  select * into v_payment from billing.payments where id = p_payment_id;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such payment.';
  end if;
  perform billing._lock_account(v_payment.account_id);
  insert into billing.payment_reversals
    (id, account_id, payment_id, kind, amount, status, is_taken, is_open, reason, occurred_at)
  values (p_warning_id, v_payment.account_id, p_payment_id, 'fraud_warning', 0, 'created', false, false, p_fraud_type, now())
  on conflict (id) do nothing;
  if found then
    update billing.auto_topup_settings set paused_reason = 'fraud_warning'
     where account_id = v_payment.account_id and paused_reason is null;
    perform billing._arm_topup(v_payment.account_id);
    perform billing._notify(v_payment.account_id, 'operations.fraud_warning', p_warning_id, jsonb_build_object(
      'payment_id', p_payment_id, 'account_id', v_payment.account_id, 'fraud_type', p_fraud_type,
      'amount', v_payment.amount, 'currency', v_payment.currency));
  end if;
  return jsonb_build_object('account_id', v_payment.account_id);
end $$;
