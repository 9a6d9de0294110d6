-- Saved payment methods that are attached, and which of them is charged automatically. Never a number or a fingerprint.
create or replace view api.payment_methods with (security_invoker = true) as
select m.id, m.account_id, m.brand, m.last4, m.exp_month, m.exp_year,
       coalesce(m.id = c.default_payment_method, false) as "default", m.created_at
  from billing.payment_methods m left join billing.customers c on c.account_id = m.account_id
 where m.is_attached;
