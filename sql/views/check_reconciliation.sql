-- A periodic run that failed, or could not look at everything, is followed within six hours by one that did. Days are covered by
-- eight nightly runs each, so the next one counts for a nightly one.
create or replace view billing.check_reconciliation with (security_invoker = true) as
select r.id as run_id, r.kind, r.state, r.reason, r.not_compared, r.finished_at from billing.reconciliations r
 where r.kind <> 'manual' and r.finished_at < now() - interval '6 hours' and r.created_at > now() - interval '30 days'
   and (r.state = 'failed' or r.not_compared <> '[]')
   and not exists (select from billing.reconciliations l
                    where l.state = 'done' and l.not_compared = '[]' and l.created_at > r.created_at
                      and l.since <= r.since + case when r.kind = 'nightly' then interval '2 days' else interval '0' end
                      and (l.depth <> 'created' or r.depth = 'created'));
