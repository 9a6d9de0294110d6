-- Books the lines of a batch that carry no code: one ledger row an account (p_ids by account_no), one usage row a line.
-- Internal: the caller holds the locks of p_accounts and has written the lines' keys.
-- Arrays by account_no instead of joins: the planner cannot know how long a batch is, and would loop over it squared.
create or replace function billing._book_usage(p_lines billing.usage_line[], p_accounts text[], p_ids bigint[])
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_nothing  bigint[] := array_fill(null::bigint, array[cardinality(p_accounts)]);
  v_credits  bigint[] := v_nothing;
  v_balances bigint[] := v_nothing;
  v_lots     bigint[] := v_nothing;
  v_many     boolean[] := array_fill(null::boolean, array[cardinality(p_accounts)]);
  v_sources  text[] := array_fill(null::text, array[cardinality(p_accounts)]);
  v_times    timestamptz[] := array_fill(null::timestamptz, array[cardinality(p_accounts)]);
  v_row      record;
begin
  for v_row in
    with totals as (
      select l.account_no, sum(l.credits)::bigint as credits, min(l.occurred_at) as occurred_at,
             case count(*) when 1 then min(l.event_id) else count(*) || ' events' end as source_id, count(*) > 1 as many
        from unnest(p_lines) l where l.code is null group by l.account_no
    )
    update billing.credit_balances b set balance = b.balance - t.credits
      from totals t where b.account_id = p_accounts[t.account_no]
    returning t.*, b.balance
  loop
    v_credits[v_row.account_no] := v_row.credits;
    v_balances[v_row.account_no] := v_row.balance;
    v_many[v_row.account_no] := v_row.many;
    v_sources[v_row.account_no] := v_row.source_id;
    v_times[v_row.account_no] := v_row.occurred_at;
  end loop;

  -- As in spend_credits: what fits into the first lot of the burn order; _draw_lots does the others.
  for v_row in
    update billing.credit_lots l set remaining = l.remaining - t.credits, is_open = l.remaining > t.credits
      from unnest(p_accounts, v_credits) with ordinality t (account_id, credits, account_no)
     where l.remaining >= t.credits
       and l.ctid = (select f.ctid from billing.credit_lots f where f.account_id = t.account_id and f.is_open
                      order by f.priority, f.expires_at, f.is_paid, f.id limit 1)
    returning t.account_no, l.id
  loop
    v_lots[v_row.account_no] := v_row.id;
  end loop;

  insert into billing.credit_transactions
    (account_id, id, kind, counter_account, amount, balance_after, draws, source_kind, source_id, occurred_at)
  overriding system value
  select t.account_id, t.id, 'usage', 'usage', -t.credits, t.balance,
         case when t.lot_id is null then billing._draw_lots(t.account_id, t.credits)
              else array[row(t.lot_id, -t.credits)::billing.lot_draw] end,
         case when t.many then 'usage_batch' else 'usage' end, t.source_id, t.occurred_at
    from unnest(p_accounts, p_ids, v_credits, v_balances, v_lots, v_many, v_sources, v_times)
      t (account_id, id, credits, balance, lot_id, many, source_id, occurred_at)
   where t.credits is not null;

  insert into billing.credit_usage
    (account_id, event_id, transaction_id, action, quantity, credits, agent, department_id, member_id, run_id,
     dimensions, metadata, occurred_at)
  select l.account_id, l.event_id, p_ids[l.account_no], l.event->>'action', l.quantity, l.credits, l.event->>'agent',
         l.event->>'department_id', l.event->>'member_id', l.event->>'run_id', l.event->'dimensions', l.event->'metadata',
         l.occurred_at
    from unnest(p_lines) l where l.code is null;

  if exists (select from billing.credit_balances b where b.account_id = any (p_accounts) and b.limited) then
    perform billing._limit_usage(p_lines);
  end if;
  perform billing._mark_crossings(b.account_id, 'entry')
     from billing.credit_balances b
    where b.account_id = any (p_accounts)
      and b.balance - b.held <= greatest(b.topup_trigger, b.low_threshold);
end $$;
