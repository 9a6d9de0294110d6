-- Mirrors a paid invoice and grants, once for each line, what its plan says: for the first and each further cycle of a
-- subscription (billing_reason), for lines of that subscription at a plan's price or product. Nothing for prorations, for
-- lines that cost nothing, for what is not paid. A paid invoice stays paid at Stripe, so a reading is never too old here.
-- p_facts: as in mirror_invoice, and paid_at, lines [{id, price, product, subscription, proration, quantity, amount (after
-- discounts, without tax), period_start, period_end}].
-- Callers: service. Idempotent by line. Answers an outcome (granted, nothing, unpaid, not_ours, parked) with credits: what
-- this call granted. Raises RF008 invalid_value.
create or replace function billing.grant_invoice(p_facts jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text := billing.find_customer_account(p_facts->>'customer') #>> '{}';
  v_outcome text;
  v_line    jsonb;
  v_credits bigint := 0;
begin
  v_outcome := case when v_account is null then 'not_ours' when p_facts->>'account' <> v_account then 'parked'
                    when p_facts->>'status' is distinct from 'paid' then 'unpaid' end;
  if v_outcome is null then
    perform billing._lock_account(v_account);
    perform billing._write_invoice(v_account, p_facts);
    if p_facts->>'billing_reason' in ('subscription_create', 'subscription_cycle') then
      for v_line in
        select l from jsonb_array_elements(p_facts->'lines') l
         where l->>'subscription' = p_facts->>'subscription' and not (l->>'proration')::boolean
           and (l->>'amount')::bigint > 0
         order by l->>'id'
      loop
        v_credits := v_credits + billing._grant_invoice_line(v_account, p_facts, v_line);
      end loop;
      perform billing._apply_reversals(null, p_facts->>'id'); -- of which Stripe told before
    end if;
    v_outcome := case when v_credits > 0 then 'granted' else 'nothing' end;
  end if;
  return jsonb_build_object('outcome', v_outcome, 'account_id', v_account, 'credits', v_credits);
end $$;
