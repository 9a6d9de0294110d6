-- Books usage that already happened: an array of events as in spend_credits plus account_id (or p_account_id for all).
-- Each event once. May take a balance below zero. What cannot be booked is answered in rejected and, with p_park, kept.
-- Callers: service. Idempotent by account and event id, inside a batch and across.
-- Set-based: read, price and check all; lock the accounts in order; write keys, balances, lots, ledger, usage.
create or replace function billing.record_usage(p_events jsonb, p_account_id text default null, p_park boolean default false)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_lines    billing.usage_line[] := billing._read_usage(p_events, p_account_id);
  v_new      billing.usage_line[];
  v_rejected jsonb;
  v_accounts jsonb;
  v_due      jsonb;
  v_known    integer;
  v_account  text;
begin
  perform from billing.credit_balances
    where account_id in (select l.account_id from unnest(v_lines) l where l.code is null)
    order by account_id for no key update;

  -- Before the entries get their ids, so that the ledger's order is that of its balances.
  for v_account in
    select account_id from billing.credit_balances
     where account_id in (select l.account_id from unnest(v_lines) l where l.code is null) and next_expiry_at <= now()
     order by account_id
  loop
    perform billing._expire_account_lots(v_account);
  end loop;

  with ids as (
    select a.account_id, nextval('billing.credit_transactions_id_seq') as transaction_id
      from (select distinct l.account_id from unnest(v_lines) l where l.code is null) a
  ), booked as (
    insert into billing.credit_usage_keys (account_id, event_id, fingerprint, transaction_id, credits)
    select l.account_id, l.event_id, l.fingerprint, i.transaction_id, l.credits
      from unnest(v_lines) l join ids i using (account_id)
     where l.code is null
     order by l.account_id, l.event_id
    on conflict do nothing
    returning account_id, event_id, transaction_id
  )
  select array_agg(row(l.index, l.account_id, l.event_id, l.fingerprint, l.credits, l.quantity, l.occurred_at,
           b.transaction_id, l.event, null)::billing.usage_line)
    into v_new
    from unnest(v_lines) l join booked b using (account_id, event_id)
   where l.code is null;

  v_lines := billing._compare_repeats(v_lines, v_new);
  perform billing._book_usage(v_new);

  select coalesce(jsonb_agg(jsonb_build_object('index', l.index, 'id', l.event_id, 'code', l.code) order by l.index)
           filter (where l.code <> 'duplicate'), '[]'),
         count(*) filter (where l.code = 'duplicate')
    into v_rejected, v_known
    from unnest(v_lines) l where l.code is not null;
  if p_park then
    insert into billing.parked_usage (account_id, event_id, code, event)
    select l.account_id, l.event_id, l.code, l.event from unnest(v_lines) l where l.code <> 'duplicate';
  end if;

  select coalesce(jsonb_agg(jsonb_build_object('account_id', b.account_id,
           'available', greatest(0, b.balance - b.held + b.overdraft), 'status', b.status) order by b.account_id), '[]'),
         coalesce(jsonb_agg(b.account_id) filter (where b.topup_due_at = now()), '[]')
    into v_accounts, v_due
    from billing.credit_balances b
   where b.account_id in (select l.account_id from unnest(v_lines) l);
  return jsonb_build_object('accepted', coalesce(cardinality(v_new), 0), 'duplicates', v_known,
    'rejected', v_rejected, 'accounts', v_accounts, 'topup_due', v_due);
end $$;
