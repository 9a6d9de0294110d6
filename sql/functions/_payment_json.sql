-- A payment as callers see it. overdue: nobody shall pay it any more; Checkout Sessions live as long. Internal.
create or replace function billing._payment_json(p_payment billing.payments)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select to_jsonb(p_payment) - 'next_check_at' - 'checks'
    || jsonb_build_object('overdue', p_payment.created_at < now() - interval '1 hour',
      'topup_id', (select t.id from billing.topups t where t.payment_id = p_payment.id));
$$;
