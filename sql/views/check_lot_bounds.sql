-- A lot is between used up and full, and its flags say what its numbers say.
create or replace view billing.check_lot_bounds with (security_invoker = true) as
select account_id, id as lot_id, granted, remaining, is_open, is_paid from billing.credit_lots
 where granted <= 0 or remaining not between 0 and granted or is_open <> (remaining > 0)
    or paid_amount < 0 or is_paid <> (paid_amount > 0);
