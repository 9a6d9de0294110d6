-- Keeps a payment that differs from our row for an operator: money came in, no credits go out. A payment that has been
-- granted stays granted, and one that an operator has closed stays closed; the odd second one is only announced.
-- Internal: the caller holds the account's lock.
create or replace function billing._park_payment(p_payment billing.payments, p_reason text, p_facts jsonb)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
begin
  if p_payment.status <> 'succeeded' and p_payment.closed_at is null then
    update billing.payments set status = 'parked', reason = p_reason, parked_facts = p_facts, next_check_at = 'infinity'
     where id = p_payment.id;
    -- Its own PaymentIntent has taken the money, or never was sent: nothing can move any more. Else the money is another
    -- PaymentIntent's, and ours may still charge: it is given up, and live until Stripe has canceled it.
    update billing.topups t
       set state = case when over.is_over then 'canceled' else 'canceling' end, reason = p_reason,
           ends_as = case when not over.is_over then 'canceled' end, canceling_at = case when not over.is_over then now() end,
           finished_at = case when over.is_over then now() end, dead_at = case when over.is_over then now() end,
           next_attempt_at = now()
      from (select id, confirming_at is null or stripe_payment_intent_id = p_facts->>'payment_intent' as is_over
              from billing.topups where payment_id = p_payment.id) over
     where t.id = over.id and (t.dead_at is null or t.state = 'succeeded');
    if found then
      update billing.auto_topup_settings set paused_reason = 'payment_parked' where account_id = p_payment.account_id;
    end if;
    perform billing._arm_topup(p_payment.account_id);
  end if;
  perform billing._notify(p_payment.account_id, 'payment.parked',
    p_payment.id || ':' || coalesce(p_facts->>'payment_intent', '-'),
    jsonb_build_object('payment_id', p_payment.id, 'reason', p_reason, 'facts', p_facts));
end $$;
