-- A top-up with the frozen money of its payment, as the charging actor and operators see it. Internal.
create or replace function billing._topup_json(p_topup billing.topups)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('id', p_topup.id, 'account_id', p_topup.account_id, 'payment_id', p_topup.payment_id,
    'state', p_topup.state, 'credits', p.credits, 'amount', p.amount, 'net_amount', coalesce(p.net_amount, p.amount), 'currency', p.currency,
    'stripe_customer_id', p_topup.stripe_customer_id, 'payment_method', p_topup.payment_method,
    'stripe_payment_intent_id', p_topup.stripe_payment_intent_id, 'confirming', p_topup.confirming_at is not null,
    'age_seconds', floor(extract(epoch from now() - p_topup.created_at))::bigint, 'reason', p_topup.reason,
    'decline_code', p_topup.decline_code, 'advice_code', p_topup.advice_code, 'ends_as', p_topup.ends_as, 'created_at', p_topup.created_at, 'finished_at', p_topup.finished_at)
  from billing.payments p where p.id = p_topup.payment_id;
$$;
