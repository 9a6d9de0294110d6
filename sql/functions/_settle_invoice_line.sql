-- Keeps a line of a paid invoice that sells a plan, once, and does what it asks for: grants, or takes credits back. A line
-- that is paid and of which nothing says what it grants is parked and announced to operators; once the catalogue says it, a
-- repeat grants. Answers the credits granted. Internal: the caller holds the account's lock and has let lots expire.
-- Raises RF008 invalid_value (more credits than one movement may carry).
create or replace function billing._settle_invoice_line(p_account_id text, p_facts jsonb, p_line jsonb)
  returns bigint
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_plan    billing.subscription_plans := billing._subscription_plan(p_line->>'price', p_line->>'product', p_line->>'interval',
              (p_line->>'interval_count')::integer, (p_line->>'unit_amount')::numeric);
  v_amount  bigint := (p_line->>'amount')::bigint;
  v_credits numeric;
  v_reason  text;
begin
  -- A deduction that is no credit proration is money that an operator gave: it changes no credits.
  if v_plan.id is null or v_amount < 0 and not (p_line->>'proration')::boolean then
    return 0;
  end if;
  if v_amount > 0 then
    v_credits := floor(billing._whole_credits(v_plan, p_line, p_facts->>'currency') * billing._line_share(v_plan, p_line));
    v_reason := case when p_line->>'subscription' is null then 'no_subscription'
                     when p_line->>'subscription' <> p_facts->>'subscription' then 'another_subscription'
                     when v_plan.amount = 0 then 'plan_is_free'
                     when p_line->>'usage_type' = 'metered' then 'price_is_metered'
                     when coalesce(v_credits, 0) < 1 then 'plan_grants_nothing' end;
    if v_reason is null and v_credits > 1000000000000000 then
      raise exception using errcode = 'RF008', message = 'An invoice line grants more credits than one movement may carry.';
    end if;
  end if;
  insert into billing.invoice_lines as l (id, account_id, invoice_id, subscription_id, plan_id, price_id, is_proration, quantity,
    amount, currency, period_start, period_end, outcome, reason, credited_lines, is_open)
  values (p_line->>'id', p_account_id, p_facts->>'id', p_line->>'subscription', v_plan.id, p_line->>'price',
    (p_line->>'proration')::boolean, (p_line->>'quantity')::bigint, v_amount, p_facts->>'currency',
    to_timestamp((p_line->>'period_start')::float8), to_timestamp((p_line->>'period_end')::float8),
    case when v_amount < 0 then 'credited' when v_reason is null then 'granted' else 'parked' end, v_reason,
    (select array_agg(c order by c) from jsonb_array_elements_text(nullif(p_line->'credited', 'null')) c), v_amount < 0)
  on conflict (id) do update set plan_id = excluded.plan_id, outcome = excluded.outcome, reason = excluded.reason,
    updated_at = now() where l.outcome = 'parked';
  if not found then
    return 0;
  end if;
  if v_reason is not null then
    perform billing._notify(p_account_id, 'operations.paid_without_credits', p_line->>'id', jsonb_build_object(
      'account_id', p_account_id, 'invoice_id', p_facts->>'id', 'line', p_line->>'id', 'plan', v_plan.id, 'reason', v_reason,
      'amount', v_amount, 'currency', p_facts->>'currency'));
    return 0;
  end if;
  if v_amount > 0 and v_plan.grant_interval is not null then
    perform billing._plan_portions(p_account_id, p_facts, p_line, v_plan, v_credits::bigint);
    v_credits := billing._grant_portions(p_account_id);
  elsif v_amount > 0 then
    v_credits := billing._grant_invoice_line(p_account_id, p_facts, p_line, v_plan, v_credits::bigint, p_line->>'id');
  end if;
  -- Invoices are read in any order: a credit may have come before what it credits.
  perform billing._return_credits(p_account_id, l.id) from billing.invoice_lines l
    where l.account_id = p_account_id and l.amount < 0 and l.is_open order by l.period_start, l.id;
  return coalesce(v_credits, 0);
end $$;
