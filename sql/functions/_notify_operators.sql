-- Puts a notice for operators into the outbox, at most once a day for one subject. Internal.
create or replace function billing._notify_operators(p_account_id text, p_topic text, p_subject text, p_payload jsonb)
  returns void
  language sql volatile security definer set search_path = '' as $$
  select billing._notify(p_account_id, 'operations.' || p_topic,
    p_subject || ':' || to_char(now() at time zone 'UTC', 'YYYY-MM-DD'), p_payload);
$$;
