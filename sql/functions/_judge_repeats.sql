-- Gives the lines that were booked before (their key is not of this batch) their code: duplicate when the content is the
-- same, else idempotency_conflict; also when they had a price then and have none now. Internal. Changes nothing.
create or replace function billing._judge_repeats(p_lines billing.usage_line[], p_ids bigint[])
  returns billing.usage_line[]
  language sql stable security definer set search_path = '' as $$
  select array_agg(row(l.index, l.account_id, l.account_no, l.event_id, l.fingerprint, l.credits, l.quantity, l.occurred_at,
      l.event,
      case when l.code is not null and (k.event_id is null or l.code not like 'unknown\_%' or l.code = 'unknown_account')
                then l.code
           when k.transaction_id = p_ids[l.account_no] then null
           when k.fingerprint = l.fingerprint then 'duplicate'
           else 'idempotency_conflict' end
    )::billing.usage_line order by l.index)
    from unnest(p_lines) l
    left join billing.credit_usage_keys k on k.account_id = l.account_id and k.event_id = l.event_id;
$$;
