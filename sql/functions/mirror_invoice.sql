-- Keeps what was read of an invoice at Stripe; grants nothing (grant_invoice). p_facts: id, customer, account (of the
-- subscription's metadata), status, billing_reason, subscription, amount_due, amount_paid, currency, number, hosted_url,
-- pdf_url, created, period_start, period_end (epoch seconds). p_version: as in mirror_subscription.
-- Callers: service. Answers an outcome: mirrored, stale, not_ours, parked.
create or replace function billing.mirror_invoice(p_version bigint, p_facts jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text := billing.find_customer_account(p_facts->>'customer') #>> '{}';
begin
  if v_account is null then
    return jsonb_build_object('outcome', 'not_ours', 'account_id', null);
  end if;
  if p_facts->>'account' <> v_account then
    return jsonb_build_object('outcome', 'parked', 'account_id', v_account);
  end if;
  perform billing._lock_account(v_account);
  if p_version <> (billing.get_mirror_version(p_facts->>'id'))::bigint then
    return jsonb_build_object('outcome', 'stale', 'account_id', v_account);
  end if;
  perform billing._write_invoice(v_account, p_facts);
  return jsonb_build_object('outcome', 'mirrored', 'account_id', v_account);
end $$;
