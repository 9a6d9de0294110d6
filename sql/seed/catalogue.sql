-- The catalogue that a new installation starts with. What operators changed since stays: nothing is overwritten.
insert into billing.credit_packages (id, name, credits, amount, currency, sort_order) values
  ('credits_100', '100 credits', 100000000, 500, 'usd', 10),
  ('credits_250', '250 credits', 250000000, 1000, 'usd', 20),
  ('credits_600', '600 credits', 600000000, 2000, 'usd', 30)
on conflict (id) do nothing;

insert into billing.subscription_plans (id, name, credits_per_cycle, amount, currency, billing_interval, sort_order) values
  ('free', 'Free', 50000000, 0, 'usd', 'month', 10),
  ('starter', 'Starter', 500000000, 1900, 'usd', 'month', 20),
  ('pro', 'Pro', 2500000000, 7900, 'usd', 'month', 30)
on conflict (id) do nothing;

insert into billing.agent_action_costs (action, credits, description, effective_from)
select action, credits, description, '-infinity' from (values
  ('message', 1000000, 'One answer of an agent'),
  ('tool_call', 500000, 'One call of a tool'),
  ('research', 5000000, 'One research run'),
  ('image', 4000000, 'One generated image'),
  ('test', 1000000, 'For trying out the API')
) v (action, credits, description)
where not exists (select from billing.agent_action_costs c where c.action = v.action);

select billing.ensure_usage_partitions(3);
