-- Freezes what is bought, at the catalogue's price with fees and taxes, before Stripe is asked. Callers: service. Idempotent by p_payment_id.
-- Raises RF001 unknown_account, RF007 unknown_package, RF008 invalid_value, RF011 topup_in_flight.
create or replace function billing.open_purchase(
  p_payment_id text, p_account_id text, p_package_id text, p_quantity integer, p_customer_id text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_package billing.credit_packages;
  v_lines   jsonb;
begin
  perform billing._lock_account(p_account_id);
  if not exists (select from billing.payments where id = p_payment_id and account_id = p_account_id) then
    -- A person would pay twice for one shortage; the charge under way is over within seconds.
    if exists (select from billing.topups where account_id = p_account_id and state in ('open', 'processing', 'unknown')) then
      raise exception using errcode = 'RF011',
        message = 'An automatic top-up is being charged right now. Wait a few seconds, then look at the balance again.';
    end if;
    select * into v_package from billing.credit_packages where id = p_package_id and active;
    if not found then
      raise exception using errcode = 'RF007', message = 'There is no such package. GET /api/billing/packages lists them.';
    end if;
    v_lines := billing._charge_lines(v_package.amount * p_quantity, v_package.currency, 'purchase');
    if p_quantity not between 1 and 1000 or billing._lines_total(v_lines) > 99999999 then
      raise exception using errcode = 'RF008', message = 'This quantity is more than one payment may carry.';
    end if;
    insert into billing.payments
      (id, account_id, purpose, package_id, quantity, credits, amount, net_amount, lines, currency, stripe_customer_id,
       next_check_at)
    values (p_payment_id, p_account_id, 'purchase', p_package_id, p_quantity, v_package.credits * p_quantity,
      billing._lines_total(v_lines), v_package.amount * p_quantity, v_lines, v_package.currency, p_customer_id,
      now() + interval '10 minutes'); -- by then it has its Session, or nobody will pay it
  end if;
  return (select billing._payment_json(p) from billing.payments p where p.id = p_payment_id);
end $$;
