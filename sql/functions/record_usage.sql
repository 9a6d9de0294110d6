-- Books usage that already happened: an array of events as in spend_credits plus account_id (or p_account_id for all).
-- Each event once. May take a balance below zero. What cannot be booked is answered in rejected; what has no price yet is
-- kept until it has one (parked), and with p_park the rest as well. Soft and hard limits count it and refuse nothing.
-- Callers: service. Idempotent by account and event id, inside a batch and across.
-- Set-based: read, price and check all; lock the accounts in order; write keys, balances, lots, ledger, usage.
create or replace function billing.record_usage(p_events jsonb, p_account_id text default null, p_park boolean default false)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_lines    billing.usage_line[] := billing._read_usage(p_events, p_account_id);
  v_accounts text[];
  v_ids      bigint[];
  v_account  text;
  v_booked   integer;
  v_counts   record;
begin
  -- In the order of account_no.
  v_accounts := array(select distinct l.account_id from unnest(v_lines) l where l.code is null order by l.account_id);
  perform from billing.credit_balances where account_id = any (v_accounts) order by account_id for no key update;
  -- Before the entries get their ids, so that the ledger's order is that of its balances.
  for v_account in
    select account_id from billing.credit_balances
     where account_id = any (v_accounts) and next_expiry_at <= now() order by account_id
  loop
    perform billing._expire_account_lots(v_account);
  end loop;
  v_ids := array(select nextval('billing.credit_transactions_id_seq') from generate_subscripts(v_accounts, 1));

  insert into billing.credit_usage_keys (account_id, event_id, fingerprint, transaction_id, credits)
  select l.account_id, l.event_id, l.fingerprint, v_ids[l.account_no], l.credits
    from unnest(v_lines) l where l.code is null
  on conflict do nothing;
  get diagnostics v_booked = row_count;
  if v_booked < cardinality(v_lines) then
    v_lines := billing._judge_repeats(v_lines, v_ids);
  end if;
  if v_booked > 0 then
    perform billing._book_usage(v_lines, v_accounts, v_ids);
  end if;

  if v_booked < cardinality(v_lines) then
    v_lines := billing._park_usage(v_lines, p_park);
  end if;
  select count(*) filter (where l.code = 'duplicate') as duplicates,
         coalesce(jsonb_agg(jsonb_build_object('index', l.index, 'id', l.event_id, 'code', l.code,
           'parked', p_park or l.code in ('unknown_action', 'unknown_model', 'unknown_dimension')) order by l.index)
           filter (where l.code <> 'duplicate'), '[]') as rejected
    into v_counts from unnest(v_lines) l where l.code is not null;
  return (
    select jsonb_build_object('accepted', v_booked, 'duplicates', v_counts.duplicates, 'rejected', v_counts.rejected,
             'accounts', coalesce(jsonb_agg(jsonb_build_object('account_id', b.account_id,
                'available', greatest(0, b.balance - b.held + b.overdraft), 'status', b.status) order by b.account_id), '[]'),
             'topup_due', coalesce(jsonb_agg(b.account_id) filter (where b.topup_due_at = now()), '[]'))
      from billing.credit_balances b
     where b.account_id = any (v_accounts) or (v_booked < cardinality(v_lines)
       and b.account_id in (select l.account_id from unnest(v_lines) l)));
end $$;
