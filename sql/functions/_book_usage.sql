-- Books new usage lines: one ledger row an account, one usage row a line. Internal: the caller holds the accounts' locks
-- and has written the lines' keys.
create or replace function billing._book_usage(p_lines billing.usage_line[])
  returns void
  language plpgsql volatile security definer set search_path = '' as $$
begin
  if p_lines is null then
    return;
  end if;
  with totals as (
    select l.account_id, l.transaction_id, sum(l.credits)::bigint as credits, count(*) as lines, min(l.event_id) as event_id,
           min(l.occurred_at) as occurred_at
      from unnest(p_lines) l group by l.account_id, l.transaction_id
  ), debited as (
    update billing.credit_balances b set balance = b.balance - t.credits
      from totals t where b.account_id = t.account_id
    returning b.account_id, b.balance
  ), drawn as (
    update billing.credit_lots l set remaining = l.remaining - t.credits, is_open = l.remaining > t.credits
      from totals t
     where l.remaining >= t.credits
       and l.ctid = (select f.ctid from billing.credit_lots f where f.account_id = t.account_id and f.is_open
                    order by f.priority, f.expires_at, f.is_paid, f.id limit 1)
    returning l.account_id, l.id
  )
  insert into billing.credit_transactions
    (account_id, id, kind, counter_account, amount, balance_after, draws, source_kind, source_id, occurred_at)
  overriding system value
  select t.account_id, t.transaction_id, 'usage', 'usage', -t.credits, d.balance,
         case when w.id is null then billing._draw_lots(t.account_id, t.credits)
              else array[row(w.id, -t.credits)::billing.lot_draw] end,
         case when t.lines = 1 then 'usage' else 'usage_batch' end,
         case when t.lines = 1 then t.event_id else t.lines || ' events' end,
         t.occurred_at
    from totals t join debited d using (account_id) left join drawn w using (account_id);

  insert into billing.credit_usage
    (account_id, event_id, transaction_id, action, quantity, credits, agent, department_id, member_id, run_id,
     dimensions, metadata, occurred_at)
  select l.account_id, l.event_id, l.transaction_id, l.event->>'action', l.quantity, l.credits, l.event->>'agent',
         l.event->>'department_id', l.event->>'member_id', l.event->>'run_id', l.event->'dimensions', l.event->'metadata',
         l.occurred_at
    from unnest(p_lines) l;

  perform billing._mark_crossings(b.account_id)
     from billing.credit_balances b
    where b.account_id in (select l.account_id from unnest(p_lines) l)
      and b.balance - b.held <= greatest(b.topup_trigger, b.low_threshold);
end $$;
