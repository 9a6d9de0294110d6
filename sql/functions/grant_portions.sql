-- Grants the portions of paid cycles that are due, of up to p_limit accounts. Callers: service. Answers how many accounts it
-- touched. Repeatable: a portion is granted once. Accounts that a movement holds right now are left to the next call.
create or replace function billing.grant_portions(p_limit integer)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_account text;
  v_count   integer := 0;
begin
  for v_account in
    select b.account_id from billing.credit_balances b
     where b.account_id in (select p.account_id from billing.subscription_portions p
                             where p.state = 'waiting' and p.due_at <= now()
                               and not exists (select from billing.invoice_lines l
                                 join billing.payment_reversals r on r.invoice_id = l.invoice_id and r.is_open
                                where l.id = p.line_id))
     order by b.account_id limit p_limit for update skip locked
  loop
    perform billing._expire_account_lots(v_account);
    perform billing._grant_portions(v_account);
    v_count := v_count + 1;
  end loop;
  return to_jsonb(v_count);
end $$;
