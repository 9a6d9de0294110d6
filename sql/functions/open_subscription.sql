-- Freezes the plan that is subscribed to, at the catalogue's price, before Stripe is asked. Answers the checkout with
-- `former`: Sessions of the account's earlier checkouts, to be closed before a new one is made.
-- Callers: service. Idempotent by p_id (another plan: RF005 idempotency_conflict). Raises RF001 unknown_account, RF008
-- invalid_value (the plan is free), RF009 not_found (no such plan), RF010 state_conflict (the account has a subscription),
-- RF019 plan_price_mismatch.
create or replace function billing.open_subscription(p_id text, p_account_id text, p_plan_id text, p_customer_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_plan  billing.subscription_plans;
  v_known billing.subscription_checkouts;
begin
  perform billing._lock_account(p_account_id);
  select * into v_known from billing.subscription_checkouts where id = p_id;
  if found then
    if (v_known.account_id, v_known.plan_id) is distinct from (p_account_id, p_plan_id) then
      raise exception using errcode = 'RF005', message = 'This checkout id was used before for another plan.';
    end if;
    update billing.subscription_checkouts set stripe_customer_id = p_customer_id
     where id = p_id and stripe_checkout_session_id is null and stripe_customer_id is distinct from p_customer_id;
  else
    select * into v_plan from billing.subscription_plans where id = p_plan_id and active;
    if not found then
      raise exception using errcode = 'RF009', message = 'There is no such plan. GET /api/billing/plans lists them.';
    end if;
    if v_plan.amount = 0 then
      raise exception using errcode = 'RF008', message = 'This plan is free: there is nothing to subscribe to.';
    end if;
    if billing._plan_mismatch(v_plan) is not null then
      raise exception using errcode = 'RF019',
        message = 'This plan cannot be bought at the moment: its price at Stripe is not the one that is shown. The operators have been notified.',
        detail = json_build_object('plan_id', v_plan.id, 'reason', billing._plan_mismatch(v_plan));
    end if;
    if exists (select from billing.subscriptions where account_id = p_account_id and plan_id is not null
                and status not in ('canceled', 'incomplete_expired')) then
      raise exception using errcode = 'RF010',
        message = 'The account has a subscription. Change or cancel it in Stripe''s Billing Portal.';
    end if;
    insert into billing.subscription_checkouts (id, account_id, plan_id, credits_per_cycle, amount, currency,
      billing_interval, interval_count, stripe_price_id, stripe_product_id, stripe_customer_id)
    values (p_id, p_account_id, v_plan.id, v_plan.credits_per_cycle, v_plan.amount, v_plan.currency,
      v_plan.billing_interval, v_plan.interval_count, v_plan.stripe_price_id, v_plan.stripe_product_id, p_customer_id);
  end if;
  return (select billing._subscription_checkout_json(c) from billing.subscription_checkouts c where c.id = p_id);
end $$;
