-- Usage events. id is the event's own; cursor grows with each booking, and is what to order and page by.
create or replace view api.usage with (security_invoker = true) as
select account_id, id as cursor, event_id as id, transaction_id, action, quantity, trim_scale(credits * 0.000001) as credits,
       agent, department_id, member_id, run_id, hold_id, dimensions, metadata, occurred_at, created_at
  from billing.credit_usage;
