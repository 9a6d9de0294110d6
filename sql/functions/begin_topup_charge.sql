-- The last look before money moves, under the account's lock: still allowed, still needed, still the same card and price?
-- If so, confirming_at is committed before the call leaves. If not, a top-up that was never sent is canceled at once; one
-- that was sent before goes to canceling, and is live until Stripe has canceled it: that first call may still charge.
-- A repeat looks again: the caller has just read that its PaymentIntent is still unconfirmed.
-- Callers: service. Raises RF009 not_found.
create or replace function billing.begin_topup_charge(p_topup_id text, p_lease_seconds integer default 100)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_topup   billing.topups;
  v_balance billing.credit_balances;
  v_stop    text;
  v_reason  text;
  v_rise    jsonb;
begin
  select * into v_topup from billing.topups where id = p_topup_id;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such top-up.';
  end if;
  v_balance := billing._lock_account(v_topup.account_id);
  select * into v_topup from billing.topups where id = p_topup_id for update;
  if v_topup.dead_at is not null or v_topup.state not in ('open', 'processing', 'unknown') then
    return jsonb_build_object('go', false, 'reason', v_topup.state);
  end if;
  v_stop := billing._charge_stop(v_topup.account_id);
  select case
      when not s.enabled then 'switched_off'
      when s.paused_reason is not null then s.paused_reason
      when v_stop is not null then v_stop
      when c.deleted_at is not null then 'customer_deleted'
      when c.default_payment_method is distinct from v_topup.payment_method then 'payment_method_changed'
      when v_balance.balance - v_balance.held > s.threshold then 'no_longer_needed'
      when v_balance.topup_cause is null then 'next_spend'
      -- What they cost now; or what was frozen, when a lower price has been agreed to since.
      when rise is not null or p.amount > billing._agreed_amount((billing._consent_in_force(s.account_id)).price, p.credits)
        then 'price_changed' end, rise
    into v_reason, v_rise
    from billing.auto_topup_settings s join billing.customers c using (account_id) join billing.payments p on p.id = v_topup.payment_id
   cross join lateral billing._price_rise(s, p.credits) rise
   where s.account_id = v_topup.account_id;
  if v_reason is not null then
    if v_reason = 'price_changed' and v_rise is not null then
      perform billing._pause_price_changed(v_topup.account_id, v_rise);
    end if;
    perform billing.finish_topup(p_topup_id, case when v_topup.confirming_at is null then 'canceled' else 'canceling' end,
      jsonb_build_object('reason', v_reason, 'lease_seconds', p_lease_seconds));
    return jsonb_build_object('go', false, 'reason', v_reason);
  end if;
  update billing.topups set state = 'processing', confirming_at = coalesce(confirming_at, now()),
         next_attempt_at = now() + make_interval(secs => p_lease_seconds)
   where id = p_topup_id;
  update billing.payments set status = 'processing' where id = v_topup.payment_id;
  return jsonb_build_object('go', true, 'reason', null);
end $$;
