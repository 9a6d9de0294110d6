-- What entries of one account came from, as far as it is known: draws (the lots, with their kind), payment, invoice (of a
-- subscription's credits), usage (of the events of the debit: how many, and what they have in common). Internal.
create or replace function billing._explain(p_account_id text, p_rows billing.credit_transactions[])
  returns table (transaction_id bigint, facts jsonb)
  language plpgsql stable security definer set search_path = '' as $$
declare
  v_first bigint;
  v_last  bigint;
begin
  select min(t.id), max(t.id) into v_first, v_last from unnest(p_rows) t where t.kind = 'usage';
  return query
    with used as (
      select u.transaction_id as id, jsonb_build_object('events', count(*),
               'action', case when count(*) = count(u.action) and min(u.action) = max(u.action) then min(u.action) end,
               'agent', case when count(*) = count(u.agent) and min(u.agent) = max(u.agent) then min(u.agent) end,
               'department_id', case when count(*) = count(u.department_id) and min(u.department_id) = max(u.department_id)
                                     then min(u.department_id) end,
               'member_id', case when count(*) = count(u.member_id) and min(u.member_id) = max(u.member_id) then min(u.member_id) end,
               'run_id', case when count(*) = count(u.run_id) and min(u.run_id) = max(u.run_id) then min(u.run_id) end) as usage
        from billing.credit_usage u
       where u.account_id = p_account_id and u.id >= billing._usage_place(p_account_id, v_first)
         and u.id < billing._usage_place(p_account_id, v_last + 1)
       group by u.transaction_id
    )
    select t.id, jsonb_build_object('usage', used.usage,
        'draws', coalesce((select jsonb_agg(jsonb_build_object('lot_id', d.lot_id, 'credits', d.amount, 'kind', l.kind) order by d.place)
                             from unnest(t.draws) with ordinality d (lot_id, amount, place)
                             join billing.credit_lots l on l.account_id = p_account_id and l.id = d.lot_id), '[]'),
        'payment', (select jsonb_build_object('id', p.id, 'amount', p.amount, 'discount', p.discount,
                      'currency', p.currency, 'receipt_url', p.receipt_url)
                      from billing.payments p
                     where t.source_kind = 'payment' and p.id = t.source_id and p.account_id = p_account_id),
        'invoice', (select jsonb_build_object('id', i.id, 'number', i.number, 'plan', n.name, 'amount', g.amount,
                             'currency', g.currency, 'hosted_url', i.hosted_url)
                      from billing.subscription_grants g join billing.invoices i on i.id = g.invoice_id
                      join billing.subscription_plans n on n.id = g.plan_id
                     where t.source_kind = 'invoice_line' and g.id = t.source_id and g.account_id = p_account_id
                     union all
                    select jsonb_build_object('id', i.id, 'number', i.number, 'plan', n.name, 'amount', l.amount,
                             'currency', l.currency, 'hosted_url', i.hosted_url)
                      from billing.invoice_lines l join billing.invoices i on i.id = l.invoice_id
                      join billing.subscription_plans n on n.id = l.plan_id
                     where t.kind = 'plan_change' and l.id = t.source_id and l.account_id = p_account_id))
      from unnest(p_rows) t left join used on used.id = t.id;
end $$;
