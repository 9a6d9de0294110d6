-- Takes back what a credit proration credits: of each grant that it names (or, where Stripe names none, of the grants of the
-- same subscription and price whose period it lies in) the share of the price that was credited. Only from the grant's own
-- lot, at most what is unspent and not held; never into debt. What was spent stays due, and later grants are smaller by it.
-- Leaves the line open while none of those grants is known. Internal: the caller holds the account's lock and has let lots
-- expire. proration_details.credited_items: docs.stripe.com/api/invoice-line-item/object.
create or replace function billing._return_credits(p_account_id text, p_line_id text)
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_line    billing.invoice_lines;
  v_grant   record;
  v_balance billing.credit_balances;
  v_asked   bigint;
  v_part    bigint;
  v_sum     bigint := 0;
  v_money   bigint; -- of the credit, what is left for grants
begin
  select * into strict v_line from billing.invoice_lines where id = p_line_id and account_id = p_account_id;
  -- Portions that have not come yet are the time that is not used: they are stopped first, the last before the others.
  v_money := -v_line.amount;
  for v_grant in
    select p.* from billing.subscription_portions p join billing.invoice_lines l on l.id = p.line_id
     where p.account_id = p_account_id and p.state = 'waiting'
       and case when v_line.credited_lines is not null then p.line_id = any (v_line.credited_lines)
                else l.subscription_id = v_line.subscription_id and l.price_id is not distinct from v_line.price_id
                     and l.invoice_id <> v_line.invoice_id and l.period_start < v_line.period_end
                     and l.period_end > v_line.period_start end
     order by p.due_at desc, p.line_id
  loop
    exit when v_money = 0;
    v_line.is_open := false;
    v_part := least(v_money, v_grant.amount);
    update billing.subscription_portions
       set credits = case when v_part = v_grant.amount then credits
                          else credits - ceil(credits::numeric * v_part / v_grant.amount)::bigint end,
           amount = case when v_part = v_grant.amount then amount else amount - v_part end,
           state = case when v_part = v_grant.amount then 'stopped' else state end,
           reason = case when v_part = v_grant.amount then 'replaced' end, updated_at = now()
     where line_id = v_grant.line_id and number = v_grant.number;
    v_money := v_money - v_part;
  end loop;
  for v_grant in
    select g.*, l.id as lot, coalesce(l.remaining, 0) as unspent, sum(g.amount) over () as base
      from billing.subscription_grants g
      left join billing.credit_lots l on l.account_id = g.account_id and l.source = 'invoice_line:' || g.id
      left join billing.invoice_lines i on i.id = g.line_id
     where g.account_id = p_account_id
       and case when v_line.credited_lines is not null then g.line_id = any (v_line.credited_lines)
                else g.subscription_id = v_line.subscription_id and i.price_id is not distinct from v_line.price_id
                     and g.invoice_id <> v_line.invoice_id
                     and g.period_start < v_line.period_end and g.period_end > v_line.period_start
                     and g.credited_credits < g.credits + g.withheld_credits end
     order by g.period_start desc, g.id
  loop
    v_line.is_open := false;
    v_asked := least(ceil((v_grant.credits + v_grant.withheld_credits) * least(1, v_money::numeric / nullif(v_grant.base, 0))),
      v_grant.credits + v_grant.withheld_credits - v_grant.credited_credits - v_grant.refunded_credits
        - v_grant.disputed_credits - v_grant.forgone_credits);
    continue when v_asked <= 0;
    update billing.subscription_grants set credited_credits = credited_credits + v_asked where id = v_grant.id;
    v_balance := billing._lock_account(p_account_id);
    v_part := least(v_asked, v_grant.unspent, greatest(0, v_balance.balance - v_balance.held));
    if v_part > 0 then
      update billing.credit_lots set remaining = remaining - v_part, is_open = remaining > v_part
       where account_id = p_account_id and id = v_grant.lot;
      update billing.credit_balances set balance = balance - v_part where account_id = p_account_id;
      insert into billing.credit_transactions
        (account_id, kind, counter_account, amount, balance_after, draws, source_kind, source_id)
      values (p_account_id, 'plan_change', 'refunds', -v_part, v_balance.balance - v_part,
        array[row(v_grant.lot, -v_part)::billing.lot_draw], 'invoice_line', p_line_id);
    end if;
    v_line.due_credits := v_line.due_credits + v_asked;
    v_line.returned_credits := v_line.returned_credits + v_part;
    v_sum := v_sum + v_part;
    if v_grant.lot is not null then
      v_line.forgone_credits := v_line.forgone_credits
        + least(v_asked - v_part, billing._expired_credits(p_account_id, 'invoice_line:' || v_grant.id));
    end if;
  end loop;
  update billing.invoice_lines set is_open = v_line.is_open, due_credits = v_line.due_credits,
    returned_credits = v_line.returned_credits, forgone_credits = v_line.forgone_credits, updated_at = now()
   where id = p_line_id and not v_line.is_open;
  if v_sum > 0 then
    perform billing._mark_crossings(p_account_id, null); -- no spend
    perform billing._notify(p_account_id, 'subscription.credits_returned', p_line_id, jsonb_build_object('credits', v_sum,
      'plan', (select name from billing.subscription_plans where id = v_line.plan_id), 'amount', -v_line.amount,
      'currency', v_line.currency));
  end if;
end $$;
