-- Writes a reading of an invoice into the mirror. Internal: the caller holds the account's lock.
create or replace function billing._write_invoice(p_account_id text, p_facts jsonb)
  returns void
  language sql volatile security definer set search_path = '' as $$
  insert into billing.invoices as i (id, account_id, status, amount_due, amount_paid, currency, hosted_url, pdf_url,
    period_start, period_end, occurred_at, number, billing_reason, subscription_id, version)
  values (p_facts->>'id', p_account_id, p_facts->>'status', (p_facts->>'amount_due')::bigint,
    (p_facts->>'amount_paid')::bigint, p_facts->>'currency', p_facts->>'hosted_url', p_facts->>'pdf_url',
    to_timestamp((p_facts->>'period_start')::float8), to_timestamp((p_facts->>'period_end')::float8),
    to_timestamp((p_facts->>'created')::float8), p_facts->>'number', p_facts->>'billing_reason',
    p_facts->>'subscription', 1)
  on conflict (id) do update set status = excluded.status, amount_due = excluded.amount_due,
    amount_paid = excluded.amount_paid, hosted_url = excluded.hosted_url, pdf_url = excluded.pdf_url,
    period_start = excluded.period_start, period_end = excluded.period_end, number = excluded.number,
    billing_reason = excluded.billing_reason, subscription_id = excluded.subscription_id,
    version = i.version + 1, updated_at = now();
$$;
