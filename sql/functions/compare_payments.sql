-- Compares a page of Stripe's PaymentIntents with the payments. p_facts: [{id, status, payment (of our metadata, or null),
-- refunded (minor units of the charge), disputed}]. Answers what differs, [{id, payment_id, account_id, reason}]:
--   row_missing        it is ours by its metadata, and no row knows it
--   not_granted        paid, and not booked           behind             canceled or under way, and not noted
--   reversals_behind   refunds or a dispute are not in the books
--   parked             paid, and waiting for an operator (money of a payment that is closed does not wait)
--   not_paid           booked, and not paid           another_intent     the row names another PaymentIntent
-- Payments that both sides know as paid are marked reconciled, once. Callers: service.
create or replace function billing.compare_payments(p_facts jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_found jsonb;
begin
  select coalesce(jsonb_agg(jsonb_build_object('id', d.id, 'payment_id', d.payment_id, 'account_id', d.account_id,
           'reason', d.reason) order by d.id), '[]') into v_found
    from (select f.id, coalesce(p.id, n.id, f.payment) as payment_id, coalesce(p.account_id, n.account_id) as account_id, case
              when p.id is null and n.id is null then 'row_missing'
              when not o.is_closed and (p.id <> f.payment or (p.id is null and n.stripe_payment_intent_id is not null))
                then 'another_intent'
              when f.status = 'succeeded' and coalesce(p.status, n.status) = 'parked' and not o.is_closed then 'parked'
              when f.status = 'succeeded' and coalesce(p.status, n.status) not in ('succeeded', 'parked') then 'not_granted'
              when f.status <> 'succeeded' and coalesce(p.status, n.status) = 'succeeded' then 'not_paid'
              when f.status in ('canceled', 'processing') and coalesce(p.status, n.status) = 'open' then 'behind'
              when f.status = 'canceled' and coalesce(p.status, n.status) = 'processing' then 'behind'
              when f.refunded <> (select coalesce(sum(r.amount), 0) from billing.payment_reversals r
                                   where r.payment_id = coalesce(p.id, n.id) and r.kind = 'refund' and r.is_taken)
                or f.disputed and not exists (select from billing.payment_reversals r
                                               where r.payment_id = coalesce(p.id, n.id) and r.kind = 'dispute') then 'reversals_behind'
            end as reason
            from jsonb_to_recordset(p_facts) as f (id text, status text, payment text, refunded bigint, disputed boolean)
            left join billing.payments p on p.stripe_payment_intent_id = f.id
            left join billing.payments n on n.id = f.payment
            -- An operator has decided about this very money.
            cross join lateral (select exists (select from (values (p.closed_at, p.parked_facts), (n.closed_at, n.parked_facts))
              c (at, facts) where c.at is not null and c.facts->>'payment_intent' = f.id)) o (is_closed)
           where f.payment is not null or p.id is not null) d
   where d.reason is not null;
  update billing.payments p set reconciled_at = now()
    from jsonb_to_recordset(p_facts) as f (id text, status text)
   where p.stripe_payment_intent_id = f.id and p.status = 'succeeded' and f.status = 'succeeded' and p.reconciled_at is null;
  perform billing._settle_differences((select array_agg(f->>'id') from jsonb_array_elements(p_facts) f), v_found);
  return v_found;
end $$;
