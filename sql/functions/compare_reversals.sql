-- Compares a page of Stripe's refunds or disputes with the mirror. p_facts: [{id, intent, status, amount}]. Answers those
-- that the mirror does not know so, [{id, intent, account_id}]; also those of PaymentIntents that are not ours: only Stripe
-- can tell of what they are; those that were found to be foreign before are left out unless p_foreign. Callers: service.
create or replace function billing.compare_reversals(p_facts jsonb, p_foreign boolean default true)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_found jsonb;
begin
  select coalesce(jsonb_agg(jsonb_build_object('id', f.id, 'intent', f.intent, 'account_id', p.account_id) order by f.id), '[]')
    into v_found
    from jsonb_to_recordset(p_facts) as f (id text, intent text, status text, amount bigint)
    left join billing.payment_reversals r on r.id = f.id
    left join billing.payments p on p.stripe_payment_intent_id = f.intent
   where f.intent is not null and (r.id is null or (r.status, r.amount) is distinct from (f.status, f.amount))
     and (p_foreign or p.id is not null or not exists (select from billing.foreign_intents i where i.id = f.intent));
  perform billing._settle_differences((select array_agg(f->>'id') from jsonb_array_elements(p_facts) f), v_found);
  return v_found;
end $$;
