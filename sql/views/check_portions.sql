-- Portions of a paid cycle are granted once each and in time (an hour, but for disputed ones), and never after they were
-- stopped; together they are what their line grants, at most.
create or replace view billing.check_portions with (security_invoker = true) as
select p.account_id, p.line_id, p.number, p.state, p.due_at, g.id as granted
  from billing.subscription_portions p
  left join billing.subscription_grants g
    on g.id = p.line_id || case when p.number > 1 then ':' || p.number else '' end
 where case p.state when 'granted' then g.id is null
            when 'waiting' then g.id is not null or p.due_at < now() - interval '1 hour' and not exists (
              select from billing.invoice_lines l join billing.payment_reversals r on r.invoice_id = l.invoice_id and r.is_open
               where l.id = p.line_id)
            else g.id is not null end
union all
select g.account_id, g.line_id, null, 'granted', null, string_agg(g.id, ', ' order by g.id)
  from billing.subscription_grants g
 where exists (select from billing.subscription_portions p where p.line_id = g.line_id)
 group by g.account_id, g.line_id having sum(g.credits + g.withheld_credits) > max(g.whole_credits);
