-- Whether finish_topup may take a live top-up from one state to another; workers/topup_steps.py has the same table, and a
-- test compares the two. A charge that was never sent may be canceled at any time; one that was sent only on Stripe's word
-- (canceled, or missing: there is no such PaymentIntent). Internal.
create or replace function billing._topup_may_become(p_topup billing.topups, p_state text, p_intent_status text)
  returns boolean
  language sql stable security definer set search_path = '' as $$
  select p_topup.dead_at is null and case p_topup.state
      when 'open' then p_state = 'canceled'
      when 'processing' then p_state in ('processing', 'unknown', 'action_required', 'canceling', 'declined', 'canceled')
      when 'unknown' then p_state in ('processing', 'unknown', 'action_required', 'canceling', 'declined', 'canceled')
      when 'action_required' then p_state in ('action_required', 'canceling', 'canceled')
      when 'canceling' then p_state in ('processing', 'canceling', 'declined', 'canceled')
      else false end
    and (p_state <> 'canceled' or p_topup.confirming_at is null or coalesce(p_intent_status in ('canceled', 'missing'), false));
$$;
