-- Freezes what is bought, at the catalogue's price with fees and taxes, before Stripe is asked. Callers: service. Idempotent by p_payment_id.
-- A repeat whose payment has not reached Stripe takes p_customer_id over.
-- Raises RF001 unknown_account, RF005 idempotency_conflict (the id is another order's), RF007 unknown_package, RF008 invalid_value, RF011 topup_in_flight.
create or replace function billing.open_purchase(
  p_payment_id text, p_account_id text, p_package_id text, p_quantity integer, p_customer_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_quote jsonb;
  v_known billing.payments;
  v_wait  integer;
begin
  perform billing._lock_account(p_account_id);
  select * into v_known from billing.payments where id = p_payment_id;
  if found then
    if (v_known.account_id, v_known.purpose, v_known.package_id, v_known.quantity)
       is distinct from (p_account_id, 'purchase', p_package_id, p_quantity) then
      raise exception using errcode = 'RF005', message = 'This payment id was used before for another purchase.';
    end if;
    update billing.payments set stripe_customer_id = p_customer_id
     where id = p_payment_id and stripe_checkout_session_id is null and stripe_payment_intent_id is null
       and status in ('open', 'canceled') and stripe_customer_id is distinct from p_customer_id;
  else
    -- A person would pay twice for one shortage; the charge under way is mostly over within seconds.
    v_wait := ceil(extract(epoch from billing._topup_in_flight(p_account_id) - now()));
    if v_wait is not null then
      raise exception using errcode = 'RF011', detail = jsonb_build_object('retry_after', v_wait)::text,
        message = format('An automatic top-up is being charged right now. Look at the balance again in a few seconds; if the'
          ' credits have not come, you can buy in %s seconds.', v_wait);
    end if;
    v_quote := billing.quote_purchase(p_account_id, p_package_id, p_quantity);
    insert into billing.payments
      (id, account_id, purpose, package_id, quantity, credits, amount, net_amount, lines, currency, stripe_customer_id,
       allow_promotion_codes, next_check_at)
    values (p_payment_id, p_account_id, 'purchase', p_package_id, p_quantity, (v_quote->>'credits')::bigint,
      (v_quote->>'amount')::bigint, (v_quote->>'net_amount')::bigint, v_quote->'lines', v_quote->>'currency', p_customer_id,
      (select k.allow_promotion_codes from billing.credit_packages k where k.id = p_package_id),
      now() + interval '10 minutes'); -- by then it has its Session, or nobody will pay it
  end if;
  return (select billing._payment_json(p) from billing.payments p where p.id = p_payment_id);
end $$;
