-- Drops a month of credit_usage that was exported: its usage rows are gone, its keys and ledger entries stay. The oldest
-- month goes first, because the invariants compare what was booked from the oldest usage row on.
-- Callers: service. Idempotent: a month that was dropped is answered as it is. Raises RF008 invalid_value, RF009 not_found,
-- RF010 state_conflict (not exported, changed since, ended less than two months ago, older usage is still kept).
create or replace function billing.drop_usage_month(p_month date, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_export    billing.usage_exports;
  v_partition text;
  v_held      record;
  v_refusal   text;
begin
  select * into v_export from billing.usage_exports where month = p_month for update;
  if v_export.dropped_at is not null then
    return to_jsonb(v_export);
  end if;
  v_partition := billing._usage_partition(p_month);
  select * into v_held from billing._count_usage_month(v_partition);
  v_refusal := case
    when v_export.month is null then 'This month was not exported.'
    when (v_held.events, v_held.credits) is distinct from (v_export.events, v_export.credits)
      then 'This month has changed since it was exported. Export it again.'
    when (now() at time zone 'UTC')::date < p_month + interval '3 months' then 'The two months before this one are kept.'
    when exists (select from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
                  where i.inhparent = 'billing.credit_usage'::regclass
                    and c.relname ~ '^credit_usage_\d{4}_\d{2}$' and c.relname < v_partition)
      or exists (select from billing.credit_usage_default where created_at < p_month::timestamp at time zone 'UTC')
      then 'An older month is still kept. The oldest goes first.' end;
  if v_refusal is not null then
    raise exception using errcode = 'RF010', message = v_refusal;
  end if;

  -- Whoever spends waits behind this lock: while it cannot be had, it gives up soon, and the caller tries again.
  set local lock_timeout = '1s';
  execute format('drop table billing.%I', v_partition);
  update billing.usage_exports set dropped_at = now() where month = p_month returning * into v_export;
  insert into billing.audit_log (actor, action, subject, details)
  values (p_actor, 'usage.month_dropped', to_char(p_month, 'YYYY-MM'), to_jsonb(v_export));
  return to_jsonb(v_export);
end $$;
