-- Stores the PaymentIntent of a top-up before it is confirmed: until here no money can have moved.
-- Renews the lease. Callers: service. Idempotent. Raises RF009 not_found, RF010 state_conflict (it has another PaymentIntent).
create or replace function billing.attach_topup_intent(
  p_topup_id text, p_payment_intent_id text, p_lease_seconds integer default 100)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_topup billing.topups;
begin
  select * into v_topup from billing.topups where id = p_topup_id for update;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such top-up.';
  end if;
  if v_topup.stripe_payment_intent_id <> p_payment_intent_id then
    raise exception using errcode = 'RF010', message = 'The top-up has another PaymentIntent.';
  end if;
  update billing.topups
     set stripe_payment_intent_id = p_payment_intent_id, next_attempt_at = now() + make_interval(secs => p_lease_seconds)
   where id = p_topup_id and stripe_payment_intent_id is null;
  update billing.payments set stripe_payment_intent_id = p_payment_intent_id where id = v_topup.payment_id;
  return to_jsonb(p_payment_intent_id);
end $$;
