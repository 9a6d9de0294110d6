-- What the end of a charge means for the next one: counts declines, backs off, pauses, and tells the account: on the first
-- decline, on the pause, and when a person must authenticate. Internal: the caller holds the account's lock and arms.
create or replace function billing._govern(p_topup billing.topups)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_declines integer;
  v_pause    text;
begin
  update billing.payments
     set status = case p_topup.state when 'declined' then 'failed' when 'canceled' then 'canceled' else 'processing' end,
         reason = coalesce(p_topup.decline_code, p_topup.reason)
   where id = p_topup.payment_id and status not in ('succeeded', 'parked');
  if p_topup.state in ('unknown', 'processing', 'canceling') then
    return;
  end if;

  if p_topup.state = 'declined' then
    update billing.auto_topup_settings
       set declines = declines + 1, next_attempt_at = now() + interval '1 hour' * power(2, least(declines, 2)),
           waiting_reason = 'declined'
     where account_id = p_topup.account_id
    returning declines into v_declines;
    v_pause := case
      when billing._decline_disposition(p_topup.decline_code, p_topup.advice_code) = 'pause' then 'card_declined'
      when v_declines >= 4 then 'declined_repeatedly'
      -- Stripe recommends eight retries at most, Visa allows 15 or 20 in 30 days by the version of its rules
      -- (docs.stripe.com/declines/card): after eight declines of a card a person's resumption is one attempt.
      when (select count(*) from billing.topups t
             where t.account_id = p_topup.account_id and t.payment_method = p_topup.payment_method and t.state = 'declined'
               and t.created_at > now() - interval '30 days') >= 8 then 'declined_repeatedly'
      when v_declines >= 2 and p_topup.decline_code in ('generic_decline', 'do_not_honor') then 'declined_repeatedly' end;
    if v_declines = 1 then
      perform billing._notify(p_topup.account_id, 'topup.declined', p_topup.id, billing._topup_json(p_topup));
    end if;
  elsif p_topup.state = 'action_required' then
    v_pause := 'authentication_required';
    perform billing._notify(p_topup.account_id, 'topup.action_required', p_topup.id, billing._topup_json(p_topup));
  elsif p_topup.reason in ('payment_method_unusable', 'customer_deleted', 'authentication_expired', 'stripe_refused', 'intent_missing',
      -- somebody canceled it at Stripe: charging again at once would undo that decision
      'canceled_at_stripe', 'requested_by_customer', 'duplicate', 'fraudulent') then
    v_pause := p_topup.reason;
  end if;

  if v_pause is not null then
    update billing.auto_topup_settings set paused_reason = v_pause where account_id = p_topup.account_id;
    if v_pause <> 'authentication_required' then
      perform billing._notify(p_topup.account_id, 'topup.paused', p_topup.id,
        billing._topup_json(p_topup) || jsonb_build_object('reason', v_pause));
    end if;
  end if;
end $$;
