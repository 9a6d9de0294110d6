-- While a dispute or an inquiry is open no automatic charge is due, and none was sent since it was written here; whether it
-- freezes the account or not.
create or replace view billing.check_disputed_not_charged with (security_invoker = true) as
select r.account_id, r.id, r.status, b.topup_due_at, t.id as topup_id, t.confirming_at
  from billing.payment_reversals r
  join billing.credit_balances b using (account_id)
  left join billing.topups t on t.account_id = r.account_id and t.confirming_at > r.recorded_at
 where r.is_open and (b.topup_due_at < 'infinity' or t.id is not null);
