-- What may still change at Stripe by the books, a page of p_limit after the id p_after: [{id, account_id, intent, invoice}].
-- p_kind: open_payments (under way or parked), open_reversals (refunds and disputes that are not decided),
-- open_invoices (not paid, not void), open_subscriptions (not ended), cards (customers). Callers: service.
create or replace function billing.list_unfinished(p_kind text, p_after text, p_limit integer)
  returns jsonb
  language sql stable security definer set search_path = '' as $$
  select coalesce(jsonb_agg(to_jsonb(f) order by f.id), '[]') from (
    select * from (
      select p.id, p.account_id, p.stripe_payment_intent_id as intent, null::text as invoice from billing.payments p
       where p_kind = 'open_payments' and p.status in ('open', 'processing', 'parked')
      union all
      select r.id, r.account_id, p.stripe_payment_intent_id, r.invoice_id
        from billing.payment_reversals r left join billing.payments p on p.id = r.payment_id
       where p_kind = 'open_reversals'
         and r.status in ('pending', 'requires_action', 'needs_response', 'under_review', 'warning_needs_response', 'warning_under_review')
      union all
      select i.id, i.account_id, null, i.id from billing.invoices i
       where p_kind = 'open_invoices' and i.status in ('draft', 'open', 'uncollectible')
      union all
      select s.id, s.account_id, null, null from billing.subscriptions s
       where p_kind = 'open_subscriptions' and s.status not in ('canceled', 'incomplete_expired')
      union all
      select c.stripe_customer_id, c.account_id, null, null from billing.customers c
       where p_kind = 'cards' and c.deleted_at is null) u
     where u.id > coalesce(p_after, '') collate "C" order by u.id limit p_limit) f;
$$;
