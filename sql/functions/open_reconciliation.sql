-- Opens a run: manual over a given window; or the periodic one, whose window begins where the last one ended, less two hours
-- for what Stripe shows late, and once a day eight days back. Answers the run. A periodic run that is unfinished is answered
-- instead of opening a second one: whoever asks goes on with it. How deep it looks: see reconciliations.depth; all when it is
-- manual or closes a gap, and open once a day.
-- Callers: service. Idempotent by p_id. Raises RF008 invalid_value.
create or replace function billing.open_reconciliation(
  p_id text, p_since timestamptz default null, p_until timestamptz default null)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_nightly boolean;
  v_gap     boolean := false;
  v_since   timestamptz := p_since;
begin
  if p_since is not null and p_since >= least(coalesce(p_until, now()), now()) then
    raise exception using errcode = 'RF008', message = 'A reconciliation begins in the past, before it ends.';
  end if;
  if p_since is null then
    v_nightly := not exists (select from billing.reconciliations
                              where kind = 'nightly' and state <> 'failed' and created_at > now() - interval '23 hours 30 minutes');
    v_since := coalesce(
      (select max(until) from billing.reconciliations where state = 'done' and kind <> 'manual') - interval '2 hours',
      '-infinity');
    v_gap := v_since < now() - interval '8 hours' and v_since > '-infinity';
    v_since := least(greatest(v_since, now() - interval '30 days'), now() - case when v_nightly then interval '8 days'
      else interval '2 hours' end);
  end if;
  insert into billing.reconciliations (id, kind, since, until, step, depth)
  values (p_id, case when p_since is not null then 'manual' when v_nightly then 'nightly' else 'hourly' end,
    v_since, least(coalesce(p_until, now()), now()), 'customers',
    case when p_since is not null or v_gap then 'all' when v_nightly then 'open' else 'created' end)
  on conflict do nothing;
  return (select to_jsonb(r) from billing.reconciliations r
           where r.id = p_id or (p_since is null and r.kind <> 'manual' and r.state = 'running')
           order by r.id = p_id desc limit 1);
end $$;
