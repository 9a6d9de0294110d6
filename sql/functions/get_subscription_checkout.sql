-- How a checkout of a plan stands, or null. `state`: open (it may still be paid, or was and Stripe was not heard of), done (its
-- subscription is mirrored, and its first invoice is paid and has granted what it grants: `credits`), over (nobody pays it any
-- more, or its subscription has ended). Callers: service.
create or replace function billing.get_subscription_checkout(p_id text)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select jsonb_build_object('id', c.id, 'account_id', c.account_id, 'plan_id', c.plan_id, 'plan_name', p.name,
    'stripe_checkout_session_id', c.stripe_checkout_session_id, 'subscription_id', c.subscription_id, 'created_at', c.created_at,
    'checkout_url', c.checkout_url,
    'state', case
      when s.status in ('canceled', 'incomplete_expired') then 'over'
      -- The ledger writes a paid invoice and grants its lines in one transaction.
      when s.id is not null and exists (select from billing.invoices i
        where i.account_id = c.account_id and i.subscription_id = s.id and i.status = 'paid') then 'done'
      -- Only the newest Session can be paid, for an hour; a day leaves time to hear of it (_subscription_checkout_json).
      when s.id is null and (c.created_at < now() - interval '1 day' or exists (select from billing.subscription_checkouts n
        where n.account_id = c.account_id and n.number > c.number)) then 'over'
      else 'open' end,
    'credits', (select coalesce(sum(g.credits), 0)::bigint
                  from billing.subscription_grants g join billing.invoices i on i.id = g.invoice_id
                 where g.account_id = c.account_id and g.subscription_id = s.id and i.billing_reason = 'subscription_create'))
    from billing.subscription_checkouts c
    join billing.subscription_plans p on p.id = c.plan_id
    left join billing.subscriptions s on s.id = c.subscription_id
   where c.id = p_id;
$$;
