-- What an id names, looked up by keys alone: kind (account, payment, event) and id say which page shows it, state is that of
-- the thing itself. Ids of Stripe lead to what we have of them: pi_, cs_, ch_, re_ and dp_ to the payment, cus_, in_ and sub_
-- to the account, evt_ to the event. Internal.
create or replace function billing._find_by_key(p_key text)
  returns table (kind text, id text, account_id text, state text)
  language sql stable security definer set search_path = '' as $$
  select 'account', a.id, a.id, null::text from billing.accounts a where a.id = p_key
  union
  select 'account', c.account_id, c.account_id, null
    from (select billing.find_customer_account(p_key)#>>'{}' as account_id) c where c.account_id is not null
  union
  select 'account', i.account_id, i.account_id, null from billing.invoices i where i.id = p_key
  union
  select 'account', s.account_id, s.account_id, null from billing.subscriptions s where s.id = p_key
  union
  select 'account', s.account_id, s.account_id, null from billing.subscription_checkouts s
   where s.stripe_checkout_session_id = p_key
  union
  select 'account', r.account_id, r.account_id, null from billing.payment_reversals r where r.id = p_key and r.payment_id is null
  union
  select 'account', d.account_id, d.account_id, null from billing.adjustments d where d.id = p_key and d.id like 'adj\_%'
  union
  select 'payment', p.id, p.account_id, case when p.closed_at is null then p.status else 'closed' end
    from billing.payments p
    join (select p_key as id
          union select x.id from billing.payments x where x.stripe_payment_intent_id = p_key
          union select x.id from billing.payments x where x.stripe_checkout_session_id = p_key
          union select x.id from billing.payments x where x.stripe_charge_id = p_key
          union select t.payment_id from billing.topups t where t.id = p_key
          union select t.payment_id from billing.topups t where t.stripe_payment_intent_id = p_key
          union select r.payment_id from billing.payment_reversals r where r.id = p_key) named on named.id = p.id
  union
  select 'event', e.id, null, e.state from billing.stripe_events e where e.id = p_key;
$$;
