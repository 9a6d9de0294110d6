-- The governor: opens the account's one charge if a spend asks for it and consent, threshold, caps and back-off allow it;
-- its parameters are frozen in a payments and a topups row. Otherwise answers why not, and when to look again; with reason
-- open_topup, which one is open: its worker may have died, and whoever asks can take it up.
-- Callers: service. Idempotent by p_topup_id; at most one open charge an account (topups_one_open).
-- Raises RF001 unknown_account.
create or replace function billing.open_topup(p_account_id text, p_topup_id text, p_payment_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_balance  billing.credit_balances := billing._lock_account(p_account_id);
  v_stop     text := billing._charge_stop(p_account_id);
  v_settings billing.auto_topup_settings;
  v_customer billing.customers;
  v_offer    record;
  v_rise     jsonb;
  v_open     text;
  v_reason   text;
begin
  if exists (select from billing.topups where id = p_topup_id) then
    return jsonb_build_object('topup_id', p_topup_id, 'open_topup_id', p_topup_id, 'reason', null, 'next_attempt_at', null);
  end if;
  select * into v_settings from billing.auto_topup_settings where account_id = p_account_id;
  select * into v_customer from billing.customers where account_id = p_account_id;
  select id into v_open from billing.topups
   where account_id = p_account_id and dead_at is null;
  v_reason := case
    when v_open is not null then 'open_topup'
    when not coalesce(v_settings.enabled, false) then 'off'
    when v_settings.paused_reason is not null then v_settings.paused_reason
    when v_stop is not null then v_stop
    when v_customer.default_payment_method is null or v_customer.deleted_at is not null then 'no_payment_method'
    when v_balance.balance - v_balance.held > v_settings.threshold then 'above_threshold'
    when v_balance.topup_cause is null then 'next_spend'
    when v_settings.next_attempt_at > now() then coalesce(v_settings.waiting_reason, 'backing_off')
    when (billing._topup_package(v_settings.package_id, v_settings.currency)).id is null then 'package_unavailable' end;
  if v_reason in ('no_payment_method', 'package_unavailable') and v_settings.paused_reason is null then
    update billing.auto_topup_settings set paused_reason = v_reason where account_id = p_account_id;
    perform billing._notify(p_account_id, 'topup.paused', p_account_id || ':' || extract(epoch from now()),
      jsonb_build_object('reason', v_reason));
  end if;

  if v_reason is null then
    select * into v_offer from billing._topup_offer(v_settings, v_balance.balance - v_balance.held);
    v_rise := billing._price_rise(v_settings, v_offer.credits);
    v_reason := case when v_rise is not null then 'price_changed' else v_offer.cap end;
    if v_rise is not null then
      perform billing._pause_price_changed(p_account_id, v_rise);
    elsif v_reason is not null then
      update billing.auto_topup_settings set next_attempt_at = v_offer.frees_at, waiting_reason = v_reason
       where account_id = p_account_id;
      perform billing._notify(p_account_id, 'topup.capped', p_account_id || ':' || extract(epoch from v_offer.frees_at),
        jsonb_build_object('cap', v_reason, 'until', v_offer.frees_at));
    end if;
  end if;
  if v_reason is null then
    insert into billing.payments (id, account_id, purpose, credits, amount, net_amount, lines, currency, stripe_customer_id)
    values (p_payment_id, p_account_id, 'topup', v_offer.credits, v_offer.amount, v_offer.net_amount, v_offer.lines,
      v_settings.currency, v_customer.stripe_customer_id);
    insert into billing.topups
      (id, account_id, payment_id, stripe_customer_id, payment_method, consent_id, cause, cause_entry, opened_entry)
    values (p_topup_id, p_account_id, p_payment_id, v_customer.stripe_customer_id, v_customer.default_payment_method,
      (billing._consent_in_force(p_account_id)).id, v_balance.topup_cause, v_balance.topup_cause_entry,
      billing._newest_entry(p_account_id));
    update billing.auto_topup_settings set next_attempt_at = null, waiting_reason = null where account_id = p_account_id;
  end if;
  perform billing._arm_topup(p_account_id);
  return jsonb_build_object('topup_id', case when v_reason is null then p_topup_id end,
    'open_topup_id', case when v_reason is null then p_topup_id else v_open end, 'reason', v_reason,
    'next_attempt_at', (select next_attempt_at from billing.auto_topup_settings where account_id = p_account_id));
end $$;
