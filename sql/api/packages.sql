-- The packages on sale.
create or replace view api.packages with (security_invoker = true) as
select id, name, trim_scale(credits * 0.000001) as credits, amount, currency, sort_order
  from billing.credit_packages where active;
