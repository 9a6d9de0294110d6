-- An operator's decision that a parked payment is never granted, with a note of what became of the money: refunded at Stripe, or
-- given by an adjustment. From then on neither an event, a check nor a run of reconciliation grants it, so that an
-- adjustment under its id cannot be the second grant. Settles the differences with Stripe that told of it.
-- Callers: service. Idempotent: a closed one stays as it is. Answers the payment.
-- Raises RF008 invalid_value (no note), RF009 not_found, RF010 state_conflict (it is not parked).
create or replace function billing.close_payment(p_payment_id text, p_note text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_payment billing.payments;
begin
  if length(btrim(coalesce(p_note, ''))) not between 1 and 500 then
    raise exception using errcode = 'RF008', message = 'Say in a note of up to 500 characters what became of the money.';
  end if;
  select * into v_payment from billing.payments where id = p_payment_id;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such payment.';
  end if;
  perform billing._lock_account(v_payment.account_id);
  select * into v_payment from billing.payments where id = p_payment_id for update;
  if v_payment.status <> 'parked' then
    raise exception using errcode = 'RF010', message = format('Only a parked payment is closed; this one is %s.', v_payment.status);
  end if;
  if v_payment.closed_at is null then
    update billing.payments set closed_at = now(), closer = p_actor, closing_note = btrim(p_note), next_check_at = 'infinity'
     where id = p_payment_id returning * into v_payment;
    update billing.reconciliation_differences set resolved_at = now(), resolution = 'payment closed: ' || btrim(p_note)
     where resolved_at is null and reason in ('parked', 'another_intent', v_payment.reason)
       and subject in (v_payment.stripe_payment_intent_id, v_payment.parked_facts->>'payment_intent');
    insert into billing.audit_log (account_id, actor, action, subject, details)
    values (v_payment.account_id, p_actor, 'payment.closed', p_payment_id,
      jsonb_build_object('note', btrim(p_note), 'reason', v_payment.reason, 'facts', v_payment.parked_facts));
  end if;
  return billing._payment_json(v_payment);
end $$;
