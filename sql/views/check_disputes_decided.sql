-- A dispute or inquiry is decided within 120 days: card networks take two to three months (docs.stripe.com/disputes/how-disputes-work).
create or replace view billing.check_disputes_decided with (security_invoker = true) as
select account_id, id as dispute_id, status, occurred_at from billing.payment_reversals
 where kind = 'dispute' and occurred_at < now() - interval '120 days'
   and status in ('needs_response', 'under_review', 'warning_needs_response', 'warning_under_review');
