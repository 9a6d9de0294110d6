-- Purchases and top-ups. Neither Stripe's ids and decline codes nor the links to unfinished Checkouts.
create or replace view api.payments with (security_invoker = true) as
select id, account_id, purpose, package_id, quantity, trim_scale(credits * 0.000001) as credits, amount, discount, currency, status,
       trim_scale(refunded_credits * 0.000001) as refunded_credits,
       trim_scale(disputed_credits * 0.000001) as disputed_credits, receipt_url, created_at, paid_at
  from billing.payments;
