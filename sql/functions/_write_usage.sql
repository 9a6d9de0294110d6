-- Writes the usage rows of one debit: a row a line, from its event. Internal: the caller holds the account's lock.
create or replace function billing._write_usage(
  p_account_id text, p_transaction_id bigint, p_lines billing.usage_line[], p_hold_id text)
  returns void
  language sql volatile security definer set search_path = '' as $$
  insert into billing.credit_usage
    (account_id, event_id, transaction_id, action, quantity, credits, agent, department_id, member_id, run_id,
     dimensions, metadata, hold_id, occurred_at)
  select p_account_id, l.event_id, p_transaction_id, l.event->>'action', l.quantity, l.credits, l.event->>'agent',
         l.event->>'department_id', l.event->>'member_id', l.event->>'run_id', l.event->'dimensions', l.event->'metadata',
         p_hold_id, l.occurred_at
    from unnest(p_lines) l;
$$;
