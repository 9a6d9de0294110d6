-- Writes a reading of an invoice into the mirror. Internal: the caller holds the account's lock.
create or replace function billing._write_invoice(p_account_id text, p_facts jsonb)
  returns void
  language sql volatile security definer set search_path = '' as $$
  insert into billing.invoices as i (id, account_id, status, amount_due, amount_paid, currency, hosted_url, pdf_url,
    period_start, period_end, occurred_at, number, billing_reason, subscription_id, credited_amount, ending_balance, version)
  values (p_facts->>'id', p_account_id, p_facts->>'status', (p_facts->>'amount_due')::bigint,
    (p_facts->>'amount_paid')::bigint, p_facts->>'currency', p_facts->>'hosted_url', p_facts->>'pdf_url',
    to_timestamp((p_facts->>'period_start')::float8), to_timestamp((p_facts->>'period_end')::float8),
    to_timestamp((p_facts->>'created')::float8), p_facts->>'number', p_facts->>'billing_reason',
    p_facts->>'subscription',
    -- What the lines cost in all, with tax, less what was paid. Without a total nothing is known beside amount_paid.
    case when p_facts->>'status' = 'paid' then greatest(0, coalesce((p_facts->>'total')::bigint, (p_facts->>'amount_paid')::bigint)
      + coalesce((select -sum((l->>'gross')::bigint) from jsonb_array_elements(p_facts->'lines') l where (l->>'gross')::bigint < 0), 0)
      - (p_facts->>'amount_paid')::bigint) else 0 end,
    (p_facts->>'ending_balance')::bigint, 1)
  on conflict (id) do update set status = excluded.status, amount_due = excluded.amount_due,
    amount_paid = excluded.amount_paid, hosted_url = excluded.hosted_url, pdf_url = excluded.pdf_url,
    period_start = excluded.period_start, period_end = excluded.period_end, number = excluded.number,
    billing_reason = excluded.billing_reason, subscription_id = excluded.subscription_id,
    credited_amount = excluded.credited_amount, ending_balance = excluded.ending_balance,
    version = i.version + 1, updated_at = now();
$$;
