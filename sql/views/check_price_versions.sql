-- At any time an action has one card for a model and an account, and is marked plain only when no other card could price it.
create or replace view billing.check_price_versions with (security_invoker = true) as
select c.action, c.account_id, c.model, c.effective_from, c.effective_until, c.is_plain
  from billing.agent_action_costs c
 where c.effective_until < c.effective_from
    or exists (select from billing.agent_action_costs o
                where o.action = c.action and o.account_id = c.account_id and o.model = c.model
                  and o.effective_from > c.effective_from and o.effective_from < c.effective_until)
    or c.is_plain <> (c.rates is null and not exists (select from billing.agent_action_costs o
                        where o.action = c.action and (o.account_id <> '' or o.model <> '')));
