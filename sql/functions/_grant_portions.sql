-- Grants the portions of the account that are due, once each, the oldest first; however long nobody asked, each comes. A portion
-- waits while its invoice's payment is disputed, and is stopped when all of the payment went back. Answers the credits granted.
-- Internal: the caller holds the account's lock and has let lots expire.
create or replace function billing._grant_portions(p_account_id text)
  returns bigint
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_part    record;
  v_line    jsonb;
  v_credits bigint := 0;
begin
  for v_part in
    select p.*, l.plan_id, l.invoice_id, i.amount_paid + i.credited_amount as paid,
           (select coalesce(sum(r.amount), 0) from billing.payment_reversals r where r.invoice_id = i.id and r.is_taken) as gone,
           exists (select from billing.payment_reversals r where r.invoice_id = i.id and r.is_open) as disputed
      from billing.subscription_portions p
      join billing.invoice_lines l on l.id = p.line_id
      join billing.invoices i on i.id = l.invoice_id
     where p.account_id = p_account_id and p.state = 'waiting' and p.due_at <= now()
     order by p.due_at, p.line_id, p.number
  loop
    continue when v_part.disputed;
    if v_part.credits = 0 or v_part.gone > 0 and v_part.gone >= v_part.paid then
      update billing.subscription_portions
         set state = 'stopped', reason = case when v_part.credits = 0 then 'replaced' else 'refunded' end, updated_at = now()
       where line_id = v_part.line_id and number = v_part.number;
      continue;
    end if;
    update billing.subscription_portions set state = 'granted', updated_at = now()
     where line_id = v_part.line_id and number = v_part.number;
    v_line := v_part.line || jsonb_build_object('amount', v_part.amount, 'period_start', extract(epoch from v_part.due_at),
      'period_end', extract(epoch from v_part.ends_at),
      'id', v_part.line_id || case when v_part.number > 1 then ':' || v_part.number else '' end);
    v_credits := v_credits + billing._grant_invoice_line(p_account_id, v_part.facts || case when v_part.number > 1
        then jsonb_build_object('paid_at', extract(epoch from v_part.due_at)) else '{}' end, v_line,
      (select p from billing.subscription_plans p where p.id = v_part.plan_id), v_part.credits, v_part.line_id);
    perform billing._apply_reversals(null, v_part.invoice_id); -- the share of it that was refunded
  end loop;
  return v_credits;
end $$;
