-- What a card decline means for automatic retries: 'pause' (a person must act), 'retry' (later, with back-off).
-- Internal. Codes: Stripe's decline codes and advice codes (docs.stripe.com/declines/codes, /declines/card).
-- Unknown codes pause: a person looks before the card is charged again.
create or replace function billing._decline_disposition(p_decline_code text, p_advice_code text)
  returns text
  language sql immutable security definer set search_path = '' as $$
  select case
    when p_advice_code in ('do_not_try_again', 'confirm_card_data') then 'pause'
    when p_decline_code in ('insufficient_funds', 'generic_decline', 'do_not_honor', 'processing_error',
      'issuer_not_available', 'try_again_later', 'reenter_transaction', 'approve_with_id', 'call_issuer', 'no_action_taken',
      'card_velocity_exceeded', 'withdrawal_count_limit_exceeded', 'card_declined') then 'retry'
    when p_advice_code = 'try_again_later' then 'retry'
    else 'pause' end;
$$;
