-- The rate cards that are in force now: everybody's, and those of the user's own accounts.
create or replace view api.actions with (security_invoker = true) as
select action, nullif(model, '') as model, nullif(account_id, '') as account_id, trim_scale(credits * 0.000001) as credits,
       (select jsonb_object_agg(r.key, r.value || jsonb_build_object('credits',
                 trim_scale((r.value->>'credits')::numeric * 0.000001))) from jsonb_each(rates) r) as rates,
       unit, description, nullif(effective_from, '-infinity') as effective_from
  from billing.agent_action_costs
 where effective_from <= now() and effective_until > now();
