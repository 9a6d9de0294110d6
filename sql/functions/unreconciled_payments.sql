-- Payments that the books have as paid between two times, and that no run has seen paid at Stripe, by id after p_after, up
-- to p_limit: [{id, account_id, stripe_payment_intent_id}]. Callers: service.
create or replace function billing.unreconciled_payments(p_since timestamptz, p_until timestamptz, p_after text, p_limit integer)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'account_id', p.account_id,
           'stripe_payment_intent_id', p.stripe_payment_intent_id) order by p.id), '[]')
    from (select * from billing.payments
           where status = 'succeeded' and reconciled_at is null and amount > 0 -- what a code took off whole has no PaymentIntent
             and paid_at >= p_since and paid_at < p_until
             and id > coalesce(p_after, '')
           order by id limit p_limit) p;
$$;
