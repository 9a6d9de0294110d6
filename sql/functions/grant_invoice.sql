-- Mirrors a paid invoice and grants what each of its lines pays for, once a line: its share of its plan's cycle, whatever the
-- invoice was made for (billing_reason). A credit proration first takes back what is unspent of the credits that it credits;
-- what was spent of them counts as granted by the lines after it. Nothing for lines that cost nothing and for what is not
-- paid. A paid invoice stays paid at Stripe, so a reading is never too old here.
-- p_facts: as in mirror_invoice, and paid_at, total, lines [{id, price, product, subscription, proration, quantity, amount
-- (after discounts, without tax), gross (before discounts, with inclusive tax), discount_inside (gross is after discounts),
-- unit_amount, interval, interval_count, usage_type (of its price), credited (lines that it credits), period_start,
-- period_end}].
-- Callers: service. Idempotent by line. Answers an outcome (granted, nothing, unpaid, not_ours, parked, unexplained: a line
-- was paid and grants nothing) with credits: what this call granted. Raises RF008 invalid_value.
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
    if (billing._lock_account(v_account)).next_expiry_at <= now() then
      perform billing._expire_account_lots(v_account);
    end if;
    perform billing._write_invoice(v_account, p_facts);
    for v_line in
      select l from jsonb_array_elements(p_facts->'lines') l where (l->>'amount')::bigint <> 0
       order by (l->>'amount')::bigint > 0, l->>'id'
    loop
      v_credits := v_credits + billing._settle_invoice_line(v_account, p_facts, v_line);
    end loop;
    perform billing._apply_reversals(null, p_facts->>'id'); -- of which Stripe told before
    v_outcome := case
      when exists (select from billing.invoice_lines where invoice_id = p_facts->>'id' and outcome = 'parked') then 'unexplained'
      when v_credits > 0 then 'granted' else 'nothing' end;
  end if;
  return jsonb_build_object('outcome', v_outcome, 'account_id', v_account, 'credits', v_credits);
end $$;
