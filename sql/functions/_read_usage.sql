-- Reads a batch of usage events into lines, priced by what was in force when they happened; a line that cannot be booked
-- carries a code: unknown_account, unknown_action, unknown_model, unknown_dimension, invalid_value, idempotency_conflict
-- (the id stands in the batch with other content), duplicate (the same event stands earlier in the batch). _waited is of
-- reprice_usage: since when the event waited, and when it is priced, if not by its own time.
-- Internal. Changes nothing.
create or replace function billing._read_usage(p_events jsonb, p_account_id text)
  returns billing.usage_line[]
  language sql stable security definer set search_path = '' as $$
  with events as (
    select e.ordinality - 1 as index, coalesce(p_account_id, e.value->>'account_id') as account_id,
           e.value->>'id' as event_id, md5((e.value - array['account_id', '_waited'])::text)::uuid as fingerprint,
           e.value as event, (e.value->>'quantity')::bigint as quantity, (e.value->>'amount')::numeric as amount,
           coalesce((e.value->>'occurred_at')::timestamptz, (e.value#>>'{_waited,since}')::timestamptz, now()) as occurred_at,
           least(coalesce((e.value#>>'{_waited,priced_at}')::timestamptz, (e.value->>'occurred_at')::timestamptz, now()), now())
             as priced_at
      from jsonb_array_elements(p_events) with ordinality e
  ), carded as (
    -- One price for everybody by a join, an exact card by an index look-up; the others by a call.
    select e.*, b.account_id is not null as account_known, p.credits as plain, c.credits as each, c.rates, c.found
      from events e
      left join billing.credit_balances b on b.account_id = e.account_id
      left join billing.agent_action_costs p on e.amount is null and p.action = e.event->>'action' and p.is_plain
            and p.effective_from <= e.priced_at and p.effective_until > e.priced_at
      left join lateral (
        select c.credits, c.rates, true as found from billing.agent_action_costs c
         where e.amount is null and p.action is null and c.action = e.event->>'action' and c.account_id in ('', e.account_id)
           and c.model = coalesce(e.event#>>'{dimensions,model}', '')
           and c.effective_from <= e.priced_at and c.effective_until > e.priced_at
         order by c.account_id desc limit 1) c on true
  ), priced as (
    select c.*, case
             when c.amount is not null then row(least(c.amount, 2000000000000000), null)::billing.price
             when c.plain is not null then row(least(c.plain::numeric * coalesce(c.quantity, 1), 2000000000000000), null)::billing.price
             when c.found then billing._rate(c.each, c.rates, c.quantity, c.event->'dimensions')
             else billing._price_event(c.account_id, c.event, c.priced_at) end as price
      from carded c
  ), judged as (
    select p.*, first_value(p.fingerprint) over same_id as first_fingerprint, row_number() over same_id as nth,
           case when not p.account_known then 'unknown_account'
                when length(coalesce(p.event_id, '')) not between 1 and 255 then 'invalid_value'
                when (p.price).code is not null then (p.price).code
                when (p.price).credits not between 1 and 1000000000000000 then 'invalid_value' end as code
      from priced p
    window same_id as (partition by p.account_id, p.event_id order by p.index)
  ), coded as (
    select j.*, case when code is not null and nth = 1 or code in ('unknown_account', 'invalid_value') then code
                     when nth = 1 then null
                     when fingerprint = first_fingerprint then 'duplicate' else 'idempotency_conflict' end as verdict
      from judged j
  )
  select coalesce(array_agg(row(index, account_id, case when verdict is null then account_no end, event_id, fingerprint,
      case when verdict is null then (price).credits end, coalesce(quantity, 1), occurred_at, event, verdict)::billing.usage_line order by index), '{}')
  from (select c.*, dense_rank() over (partition by verdict is null order by account_id) as account_no from coded c) n;
$$;
