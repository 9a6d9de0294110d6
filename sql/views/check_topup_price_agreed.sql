-- No automatic charge is dearer, for its credits, than the consent in force when it was opened. Those that reconciliation
-- restored have lost their consent with the backup (check_topup_has_cause says which may).
create or replace view billing.check_topup_price_agreed with (security_invoker = true) as
select t.account_id, t.id as topup_id, t.consent_id, p.credits, p.amount, p.currency::text,
       billing._agreed_amount(c.price, p.credits) as agreed_amount
  from billing.topups t
  join billing.payments p on p.id = t.payment_id
  left join billing.auto_topup_consents c on c.id = t.consent_id and c.account_id = t.account_id and c.enabled
 where coalesce(t.cause, '') not like 'restored:%' and p.amount > coalesce(case when c.price->>'currency' = p.currency then billing._agreed_amount(c.price, p.credits) end, -1);
