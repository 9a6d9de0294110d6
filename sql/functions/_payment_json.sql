-- A payment as callers see it. overdue: nobody shall pay it any more; Checkout Sessions live an hour, and a day is what a card
-- holder gets whom the bank asks for. action_required: it waits for that person, who may still pay it. Internal.
create or replace function billing._payment_json(p_payment billing.payments)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select to_jsonb(p_payment) - 'next_check_at' - 'checks' - 'reconciled_at'
    || jsonb_build_object('net_amount', coalesce(p_payment.net_amount, p_payment.amount),
      'lines', coalesce(p_payment.lines, jsonb_build_array(
        jsonb_build_object('kind', 'credits', 'label', 'Credits', 'amount', p_payment.amount))))
    || (select jsonb_build_object('topup_id', t.id,
          'overdue', p_payment.created_at < now() - life.time,
          'action_required', p_payment.status in ('open', 'processing') and p_payment.created_at >= now() - life.time
            and case when t.id is null then p_payment.action_required_at is not null
                     else t.state = 'action_required' and t.reason is distinct from 'superseded' end)
        from (select case when p_payment.action_required_at is not null or p_payment.purpose = 'topup'
                          then interval '1 day' else interval '1 hour' end as time) life
        left join billing.topups t on t.payment_id = p_payment.id);
$$;
