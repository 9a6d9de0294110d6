-- Writes the row of a payment that Stripe has and the books have not (they were restored from an older backup), and books
-- it through the one grant path. p_row: id, account_id, topup_id or null, package_id or null, quantity, credits, amount,
-- net_amount or null, currency, customer, payment_method, allow_promotion_codes, created (epoch seconds): from metadata that the caller has verified to be ours.
-- p_facts: as in settle_payment. Callers: service. Idempotent by the payment's id. Answers as settle_payment.
-- Raises RF001 unknown_account.
create or replace function billing.restore_payment(p_row jsonb, p_facts jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text := p_row->>'account_id';
  v_created timestamptz := to_timestamp((p_row->>'created')::float8);
  v_amount  bigint := (p_row->>'amount')::bigint;
  v_net     bigint := coalesce((p_row->>'net_amount')::bigint, v_amount);
begin
  perform billing._lock_account(v_account);
  insert into billing.payments (id, account_id, purpose, package_id, quantity, credits, amount, net_amount, lines,
    currency, status, stripe_customer_id, stripe_payment_intent_id, allow_promotion_codes, created_at)
  values (p_row->>'id', v_account, case when p_row->>'topup_id' is null then 'purchase' else 'topup' end,
    (select id from billing.credit_packages where id = p_row->>'package_id'), coalesce((p_row->>'quantity')::integer, 1),
    (p_row->>'credits')::bigint, v_amount, v_net,
    -- Which fees and taxes they were is forgotten with the row.
    jsonb_build_array(jsonb_build_object('kind', 'credits', 'label', 'Credits', 'amount', v_net))
      || case when v_amount > v_net then jsonb_build_array(jsonb_build_object('kind', 'fee', 'label', 'Fees and taxes',
           'amount', v_amount - v_net)) else '[]' end, p_row->>'currency', 'processing', p_row->>'customer',
    p_facts->>'payment_intent', coalesce((p_row->>'allow_promotion_codes')::boolean, false), v_created)
  on conflict do nothing;
  if found then
    if p_row->>'topup_id' is not null then
      insert into billing.topups (id, account_id, payment_id, state, stripe_customer_id, payment_method,
        stripe_payment_intent_id, reason, confirming_at, created_at, finished_at, dead_at, cause)
      values (p_row->>'topup_id', v_account, p_row->>'id', 'succeeded', p_row->>'customer', p_row->>'payment_method',
        p_facts->>'payment_intent', 'restored', v_created, v_created, now(), now(), 'restored:' || (p_row->>'id'));
    end if;
    insert into billing.audit_log (account_id, actor, action, subject, details)
    values (v_account, 'reconciliation', 'payment.restored', p_row->>'id', p_row);
  end if;
  return billing.settle_payment(p_row->>'id', p_facts);
end $$;
