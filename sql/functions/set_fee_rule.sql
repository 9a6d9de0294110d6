-- Makes or changes a rule of fees or taxes, from the next charge that is opened on; what is open already stays as it is.
-- p_rule: id, kind, label, applies_to, currency (null: all), percent (text), fixed (minor units), active.
-- Callers: service. Idempotent by id. Raises RF008 invalid_value.
create or replace function billing.set_fee_rule(p_rule jsonb, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_percent numeric := coalesce((p_rule->>'percent')::numeric, 0);
  v_was     billing.fee_rules;
  v_rule    billing.fee_rules;
begin
  if v_percent not between 0 and 100 or scale(v_percent) > 4 then
    raise exception using errcode = 'RF008', message = 'percent is between 0 and 100, with at most four decimals.';
  end if;
  if v_percent = 0 and coalesce((p_rule->>'fixed')::bigint, 0) = 0 then
    raise exception using errcode = 'RF008', message = 'A rule has a percent, a fixed amount, or both.';
  end if;
  select * into v_was from billing.fee_rules where id = p_rule->>'id' for update;
  insert into billing.fee_rules (id, kind, label, applies_to, currency, percent, fixed, active)
  values (p_rule->>'id', p_rule->>'kind', p_rule->>'label', coalesce(p_rule->>'applies_to', 'both'), p_rule->>'currency',
    v_percent, coalesce((p_rule->>'fixed')::bigint, 0), coalesce((p_rule->>'active')::boolean, true))
  on conflict (id) do update set kind = excluded.kind, label = excluded.label, applies_to = excluded.applies_to,
    currency = excluded.currency, percent = excluded.percent, fixed = excluded.fixed, active = excluded.active, updated_at = now()
  returning * into v_rule;
  if to_jsonb(v_was) - 'updated_at' is distinct from to_jsonb(v_rule) - 'updated_at' then
    insert into billing.audit_log (actor, action, subject, details)
    values (p_actor, 'fee_rule.set', v_rule.id, to_jsonb(v_rule) - 'created_at' - 'updated_at');
  end if;
  return to_jsonb(v_rule) || jsonb_build_object('percent', trim_scale(v_rule.percent)::text);
end $$;
