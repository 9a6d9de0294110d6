-- Nothing new at Stripe: look again in two minutes, or, when the purchase is older than an hour and a half and does not wait
-- for its card holder, in an hour; at a parked one when an operator asks again.
-- Callers: service. Two minutes keep the promise that a payment is granted within five without any webhook.
create or replace function billing.postpone_payment_check(p_payment_id text)
  returns jsonb
  language sql volatile security definer set search_path = '' as $$
  update billing.payments
     set checks = checks + 1,
         next_check_at = case
           when status = 'parked' then 'infinity'
           when created_at > now() - case when action_required_at is null then interval '90 minutes' else interval '25 hours' end then now() + interval '2 minutes'
           when created_at > now() - interval '30 days' then now() + interval '1 hour'
           else 'infinity' end
   where id = p_payment_id and status in ('open', 'processing', 'parked')
  returning to_jsonb(next_check_at);
$$;
