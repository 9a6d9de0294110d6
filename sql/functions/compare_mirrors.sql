-- Compares a page of Stripe's invoices or subscriptions of our customers with the mirror. p_facts: [{id, customer, status,
-- amount_paid (invoices), cancels (subscriptions: it ends with the period), period_end (epoch seconds)}]. Answers the ids
-- that are missing or differ, [{id, account_id}]. Drafts are left out: they are not final. Callers: service.
create or replace function billing.compare_mirrors(p_facts jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_found jsonb;
begin
  select coalesce(jsonb_agg(jsonb_build_object('id', d.id, 'account_id', d.account_id) order by d.id), '[]') into v_found
    from (select f.id, billing.find_customer_account(f.customer) #>> '{}' as account_id, case
              when f.id like 'sub\_%' then (s.status, s.current_period_end, s.cancel_at_period_end)
                is not distinct from (f.status, to_timestamp(f.period_end), f.cancels)
                and (s.items is not null or s.plan_id is null or s.status in ('canceled', 'incomplete_expired'))
              else (i.status, i.amount_paid) is not distinct from (f.status, f.amount_paid) end as is_equal
            from jsonb_to_recordset(p_facts) as f (id text, customer text, status text, amount_paid bigint, cancels boolean,
              period_end float8)
            left join billing.subscriptions s on s.id = f.id
            left join billing.invoices i on i.id = f.id
           where f.status is distinct from 'draft') d
   where d.account_id is not null and not d.is_equal;
  perform billing._settle_differences((select array_agg(f->>'id') from jsonb_array_elements(p_facts) f), v_found);
  return v_found;
end $$;
