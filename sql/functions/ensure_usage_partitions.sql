-- Creates the months of credit_usage from this one to p_months_ahead that are missing; answers how many.
-- Callers: service. Idempotent; an advisory lock keeps two callers from creating one month.
create or replace function billing.ensure_usage_partitions(p_months_ahead integer)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_first timestamp := date_trunc('month', now() at time zone 'UTC');
  v_month timestamp;
  v_name  text;
  v_count integer := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('billing.ensure_usage_partitions', 0));
  for v_month in
    select generate_series(v_first, v_first + make_interval(months => least(p_months_ahead, 24)), interval '1 month')
  loop
    v_name := 'credit_usage_' || to_char(v_month, 'YYYY_MM');
    continue when to_regclass('billing.' || v_name) is not null;
    execute format('create table billing.%I partition of billing.credit_usage for values from (%L) to (%L)',
      v_name, v_month at time zone 'UTC', (v_month + interval '1 month') at time zone 'UTC');
    execute format('alter table billing.%I enable row level security', v_name);
    -- Default privileges of the database may have granted something: read and written is through the parent alone.
    execute format('revoke all on billing.%I from public, anon, authenticated, service_role', v_name);
    v_count := v_count + 1;
  end loop;
  return to_jsonb(v_count);
end $$;
