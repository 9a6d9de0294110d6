-- Until when an automatic charge of the account counts as being made right now: two minutes from when it was sent for
-- confirmation, or opened if it was not sent yet; null when there is none. A card is charged within seconds; a bank debit
-- takes days, and an outage of Stripe as long as it lasts: neither may keep a person from buying. Internal.
-- These two minutes stand here alone.
create or replace function billing._topup_in_flight(p_account_id text)
  returns timestamptz
  language sql stable security definer set search_path = '' as $$
  select max(coalesce(confirming_at, created_at) + interval '2 minutes') from billing.topups
   where account_id = p_account_id and dead_at is null and state <> 'action_required'
     and coalesce(confirming_at, created_at) + interval '2 minutes' > now();
$$;
