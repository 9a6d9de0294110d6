-- Lifts a pause and forgets the declines behind it: a new card, a purchase or a person's decision re-arms. It never
-- switches on what is off, a higher price still needs a consent, and dunning is over. A charge that waits for a person's authentication is given up for it: the worker cancels its
-- PaymentIntent, so that the next one may be opened. Internal: the caller holds the account's lock and arms afterwards.
create or replace function billing._resume_topups(p_account_id text)
  returns void
  language sql volatile security definer set search_path = '' as $$
  update billing.auto_topup_settings s
     set declines = 0, next_attempt_at = null, waiting_reason = null,
         paused_reason = case when paused_reason = 'price_changed' then paused_reason when exists (
             select from billing.customers c
              where c.account_id = s.account_id and c.default_payment_method is not null and c.deleted_at is null)
           then null else 'no_payment_method' end
   where s.account_id = p_account_id;
  update billing.topups set reason = 'superseded', next_attempt_at = now()
   where account_id = p_account_id and state = 'action_required';
  select billing._end_grace(p_account_id);
$$;
