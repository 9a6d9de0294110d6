-- Gives the lines that were booked before their code: duplicate when the content is the same, else idempotency_conflict.
-- Internal. Changes nothing.
create or replace function billing._compare_repeats(p_lines billing.usage_line[], p_new billing.usage_line[])
  returns billing.usage_line[]
  language plpgsql stable security definer set search_path = '' as $$
begin
  if cardinality(p_new) = cardinality(p_lines) then
    return p_lines;
  end if;
  return (
    select array_agg(row(l.index, l.account_id, l.event_id, l.fingerprint, l.credits, l.quantity, l.occurred_at,
        l.transaction_id, l.event,
        case when l.code is not null or n.index is not null then l.code
             when k.fingerprint = l.fingerprint then 'duplicate' else 'idempotency_conflict' end
      )::billing.usage_line order by l.index)
    from unnest(p_lines) l
    left join unnest(p_new) n on n.index = l.index
    left join billing.credit_usage_keys k on k.account_id = l.account_id and k.event_id = l.event_id);
end $$;
