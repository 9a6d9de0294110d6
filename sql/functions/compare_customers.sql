-- Compares a page of Stripe's customers with ours. p_facts: [{id, account}], account from our metadata. Answers what
-- differs, [{id, account_id, reason}]: account_missing, not_linked (the account has no customer).
-- Callers: service.
create or replace function billing.compare_customers(p_facts jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_found jsonb;
begin
  select coalesce(jsonb_agg(jsonb_build_object('id', d.id, 'account_id', d.account, 'reason', d.reason) order by d.id), '[]')
    into v_found
    from (select f.id, f.account, case
              when a.id is null then 'account_missing'
              when c.stripe_customer_id is null then 'not_linked' end as reason
            from jsonb_to_recordset(p_facts) as f (id text, account text)
            left join billing.accounts a on a.id = f.account
            left join billing.customers c on c.account_id = f.account
           where f.account is not null) d
   where d.reason is not null;
  perform billing._settle_differences((select array_agg(f->>'id') from jsonb_array_elements(p_facts) f), v_found);
  return v_found;
end $$;
