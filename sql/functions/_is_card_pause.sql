-- Whether another card ends this pause. Others are a person's to lift: a dispute, a fraud warning, a charge canceled by hand.
-- Internal.
create or replace function billing._is_card_pause(p_reason text)
  returns boolean
  language sql immutable security definer set search_path = '' as $$
  select coalesce(p_reason in ('card_declined', 'declined_repeatedly', 'authentication_required', 'authentication_expired',
    'no_payment_method', 'payment_method_unusable'), false);
$$;
