-- Whether a dispute of this status is an inquiry: the bank asks, and no money has moved. Stripe's statuses of inquiries begin
-- with warning_ (docs.stripe.com/api/disputes/object). Internal.
create or replace function billing._is_inquiry(p_status text)
  returns boolean
  language sql immutable security definer set search_path = '' as $$
  select p_status like 'warning\_%';
$$;
