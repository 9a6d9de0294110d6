-- Grants the credits that a paid invoice line pays for, less what credit prorations still ask back because it was spent; then
-- lets former cycles beyond the plan's cap expire. Answers the credits granted.
-- Internal: the caller holds the account's lock and has kept the line, so it is granted once. p_line_id: the line, of which
-- p_line may be a portion.
create or replace function billing._grant_invoice_line(
  p_account_id text, p_facts jsonb, p_line jsonb, p_plan billing.subscription_plans, p_credits bigint,
  p_line_id text)
  returns bigint
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_amount  bigint := (p_line->>'amount')::bigint;
  v_end     timestamptz := to_timestamp((p_line->>'period_end')::float8);
  v_kept    bigint := 0; -- withheld
  v_money   bigint := 0;
  v_part    bigint;
  v_owed    record;
begin
  for v_owed in
    select id, amount, due_credits, due_credits - returned_credits - withheld_credits - forgone_credits as credits
      from billing.invoice_lines
     where account_id = p_account_id and amount < 0 and due_credits > returned_credits + withheld_credits + forgone_credits
     order by period_start, id
  loop
    v_part := least(v_owed.credits, p_credits - v_kept);
    update billing.invoice_lines set withheld_credits = withheld_credits + v_part, updated_at = now() where id = v_owed.id;
    v_kept := v_kept + v_part;
    v_money := v_money + round(-v_owed.amount::numeric * v_part / v_owed.due_credits);
    exit when v_kept = p_credits;
  end loop;
  v_money := case when v_kept = p_credits then v_amount else least(v_money, v_amount) end;
  insert into billing.subscription_grants (id, account_id, invoice_id, subscription_id, plan_id, credits_per_cycle, quantity,
    is_renewal, amount, currency, period_start, period_end, credits, whole_credits, withheld_credits, withheld_amount,
    line_id)
  values (p_line->>'id', p_account_id, p_facts->>'id', p_line->>'subscription', p_plan.id, p_plan.credits_per_cycle,
    (p_line->>'quantity')::bigint,
    coalesce(p_facts->>'billing_reason', '') = 'subscription_cycle' and not (p_line->>'proration')::boolean, v_amount,
    p_facts->>'currency', to_timestamp((p_line->>'period_start')::float8), v_end, p_credits - v_kept,
    floor(billing._whole_credits(p_plan, p_line, p_facts->>'currency')), v_kept, v_money, p_line_id);
  if p_credits > v_kept then
    perform billing._post_grant(p_account_id, 'subscription', 'subscriptions', p_credits - v_kept, 'invoice_line',
      p_line->>'id', v_amount - v_money, p_facts->>'currency',
      p_expires_at => case when p_plan.credits_expire then v_end else 'infinity' end,
      p_occurred_at => coalesce(to_timestamp((p_facts->>'paid_at')::float8), now()));
  end if;
  perform billing._cap_rollover(p_account_id, p_plan.id);
  perform billing._notify(p_account_id, 'subscription.credits_granted', p_line->>'id', jsonb_build_object(
    'credits', p_credits - v_kept, 'withheld', v_kept, 'plan', p_plan.name, 'amount', v_amount,
    'currency', p_facts->>'currency', 'period_end', v_end, 'credits_expire', p_plan.credits_expire));
  return p_credits - v_kept;
end $$;
