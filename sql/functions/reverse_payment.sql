-- Brings a payment to what Stripe says of it now: p_facts lists all of its refunds and disputes, each with id, amount (minor
-- units), status, reason, created (epoch seconds); disputes with withdrawn (the funds have left). Credits are taken back by
-- the share of the price that is gone, at most the grant, and come back when a refund fails or a dispute is won; an open
-- dispute freezes the account. Any order and number of calls with the same facts ends in the same books.
-- p_version is what get_reversals answered before Stripe was read; another reading since: stale, and nothing changes.
-- Callers: service. Raises RF009 not_found.
create or replace function billing.reverse_payment(p_payment_id text, p_version bigint, p_facts jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_payment billing.payments;
  v_credits bigint;
begin
  select * into v_payment from billing.payments where id = p_payment_id;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such payment.';
  end if;
  perform billing._lock_account(v_payment.account_id);
  update billing.payments set reversals_version = reversals_version + 1
   where id = p_payment_id and reversals_version = p_version
  returning * into v_payment;
  if not found then
    return jsonb_build_object('outcome', 'stale', 'account_id', v_payment.account_id, 'credits', 0, 'topup_due', false);
  end if;
  perform billing._mirror_reversals(v_payment, p_facts);
  v_credits := billing._apply_reversals(p_payment_id);
  perform billing._freeze(v_payment.account_id);
  return jsonb_build_object('outcome', 'reversed', 'account_id', v_payment.account_id, 'credits', v_credits,
    'topup_due', (select coalesce(topup_due_at <= now(), false) from billing.credit_balances
                   where account_id = v_payment.account_id));
end $$;
