-- Takes back of a payment's credits what its mirrored refunds and disputes ask for, or gives back what they no longer do:
-- the share of the price that is gone, at most the grant. Answers the change in credits taken back.
-- Internal: the caller holds the account's lock. Repeatable: it moves towards a target.
create or replace function billing._apply_reversals(p_payment_id text)
  returns bigint
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_payment  billing.payments;
  v_refunded bigint;
  v_gone     bigint;
  v_refunds  bigint := 0;
  v_disputes bigint := 0;
begin
  select * into strict v_payment from billing.payments where id = p_payment_id for update;
  if v_payment.status <> 'succeeded' then
    return 0; -- it granted nothing
  end if;
  select coalesce(sum(amount) filter (where kind = 'refund'), 0), coalesce(sum(amount), 0) into v_refunded, v_gone
    from billing.payment_reversals where payment_id = p_payment_id and is_taken;
  v_refunds := least(v_payment.credits, round(v_payment.credits::numeric * v_refunded / v_payment.amount));
  v_disputes := least(v_payment.credits, round(v_payment.credits::numeric * v_gone / v_payment.amount)) - v_refunds;
  update billing.payments set refunded_credits = v_refunds, disputed_credits = v_disputes where id = p_payment_id;
  perform billing._take_back(v_payment, 'refund', 'refunds', v_refunds - v_payment.refunded_credits);
  perform billing._take_back(v_payment, 'dispute', 'disputes', v_disputes - v_payment.disputed_credits);
  if v_refunds > v_payment.refunded_credits then
    perform billing._notify(v_payment.account_id, 'payment.refunded', p_payment_id || ':' || v_refunded, jsonb_build_object(
      'payment_id', p_payment_id, 'credits', v_refunds, 'amount', v_refunded, 'currency', v_payment.currency));
  end if;
  return v_refunds + v_disputes - v_payment.refunded_credits - v_payment.disputed_credits;
end $$;
