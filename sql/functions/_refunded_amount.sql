-- Minor units of a payment that Stripe has refunded, or is refunding. Internal.
create or replace function billing._refunded_amount(p_payment_id text)
  returns bigint
  language sql stable security definer set search_path = '' as $$
  select coalesce(sum(amount), 0)::bigint from billing.payment_reversals
   where payment_id = p_payment_id and kind = 'refund' and is_taken;
$$;
