-- A payment with all that hangs on it, for operators: its account, top-up, events (the newest 20), refunds and disputes, open
-- differences with Stripe, the entry that granted it, and the adjustment under its id, booked or waiting. null when there is
-- none. Callers: service.
create or replace function billing.inspect_payment(p_payment_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select billing._payment_json(p) || jsonb_build_object(
    'account', jsonb_build_object('account_id', a.id, 'name', a.name, 'email', a.email, 'status', b.status, 'balance', b.balance),
    'topup', (select billing._topup_json(t) from billing.topups t where t.payment_id = p.id),
    'events', (select coalesce(jsonb_agg(billing._event_json(e) order by e.received_at desc, e.id), '[]')
                 from (select * from billing.stripe_events where object_id = any (named.ids)
                        order by received_at desc, id limit 20) e),
    'reversals', (select coalesce(jsonb_agg(to_jsonb(r) order by r.occurred_at, r.id), '[]')
                    from billing.payment_reversals r where r.payment_id = p.id),
    'differences', (select coalesce(jsonb_agg(to_jsonb(d) order by d.id), '[]')
                      from billing.reconciliation_differences d where d.subject = any (named.ids) and d.resolved_at is null),
    'entry_id', billing._payment_entry(p.account_id, p.id),
    'adjustment', (select jsonb_build_object('entry_id', t.id, 'credits', t.amount, 'created_at', t.created_at)
                     from billing.credit_transactions t
                    where t.account_id = p.account_id and t.source_kind = 'adjustment' and t.source_id = p.id),
    'requested', (select billing._adjustment_json(d) from billing.adjustments d where d.id = p.id))
    from billing.payments p
    join billing.accounts a on a.id = p.account_id
    join billing.credit_balances b on b.account_id = p.account_id
    cross join lateral (
      select array_remove(array[p.stripe_payment_intent_id, p.stripe_checkout_session_id, p.stripe_charge_id,
               p.parked_facts->>'payment_intent', p.parked_facts->>'charge', p.parked_facts->>'checkout_session'], null)
             || array(select r.id from billing.payment_reversals r where r.payment_id = p.id) as ids) named
   where p.id = p_payment_id;
$$;
