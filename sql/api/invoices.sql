-- Stripe's invoices, with its pages to see and download them.
create or replace view api.invoices with (security_invoker = true) as
select id, account_id, number, status, billing_reason, subscription_id, amount_due, amount_paid, currency, hosted_url,
       pdf_url, period_start, period_end, occurred_at
  from billing.invoices;
