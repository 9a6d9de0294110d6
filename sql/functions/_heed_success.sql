-- What a top-up that went through means for the next one: declines are forgotten, a pause for its authentication and dunning
-- are over; the account is told of the credits, and, the first time after declines or a pause, that charges work again.
-- Internal: the caller holds the account's lock and arms afterwards.
create or replace function billing._heed_success(p_payment billing.payments)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_larger jsonb; -- how it compares with the smallest charge that was agreed to
  v_facts jsonb := jsonb_build_object('payment_id', p_payment.id, 'credits', p_payment.credits, 'amount', p_payment.amount,
    'currency', p_payment.currency, 'receipt_url', p_payment.receipt_url);
  v_since timestamptz := (select failing_since from billing.auto_topup_settings where account_id = p_payment.account_id);
begin
  select jsonb_build_object('larger', p_payment.credits > least_credits, 'least_credits', least_credits,
      'steps', case when c.settings->>'mode' = 'fixed' then p_payment.credits / least_credits end)
    into v_larger
    from billing.topups t join billing.auto_topup_consents c on c.id = t.consent_id
   cross join lateral (select (c.price->>'least_credits')::bigint as least_credits) l
   where t.payment_id = p_payment.id and least_credits > 0;
  update billing.auto_topup_settings
     set declines = 0, next_attempt_at = null, waiting_reason = null, failing_since = null,
         paused_reason = nullif(paused_reason, 'authentication_required')
   where account_id = p_payment.account_id;
  perform billing._end_grace(p_payment.account_id);
  perform billing._notify(p_payment.account_id, 'topup.succeeded', p_payment.id,
    v_facts || coalesce(v_larger, '{"larger": false}'));
  if v_since is not null then
    perform billing._notify(p_payment.account_id, 'topup.recovered', p_payment.id,
      v_facts || jsonb_build_object('failing_since', v_since));
  end if;
end $$;
