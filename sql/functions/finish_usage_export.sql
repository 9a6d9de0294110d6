-- Records that a month of usage was written to a file: events, their credits and the file's SHA-256. A month that is
-- exported again replaces its record. Callers: service. Repeatable.
-- Raises RF008 invalid_value, RF009 not_found, RF010 state_conflict (the month is not over yet, or holds something else).
create or replace function billing.finish_usage_export(
  p_month date, p_events bigint, p_credits numeric, p_sha256 text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_held   record;
  v_export billing.usage_exports;
begin
  if p_sha256 is null or p_sha256 !~ '^[0-9a-f]{64}$' then
    raise exception using errcode = 'RF008', message = 'A SHA-256 is 64 hexadecimal digits.';
  end if;
  select * into v_held from billing._count_usage_month(billing._usage_partition(p_month));
  if (v_held.events, v_held.credits) is distinct from (p_events, p_credits) then
    raise exception using errcode = 'RF010', message = 'The month holds other usage than was exported. Export it again.',
      detail = jsonb_build_object('events', v_held.events, 'credits', v_held.credits)::text;
  end if;
  insert into billing.usage_exports (month, events, credits, sha256, actor)
  values (p_month, p_events, p_credits, p_sha256, p_actor)
  on conflict (month) do update
     set events = excluded.events, credits = excluded.credits, sha256 = excluded.sha256, actor = excluded.actor,
         exported_at = now()
  returning * into v_export;
  return to_jsonb(v_export);
end $$;
