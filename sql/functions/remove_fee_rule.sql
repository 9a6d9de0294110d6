-- Removes a rule of fees or taxes; charges keep the lines that they were opened with. Callers: service.
-- Raises RF009 not_found.
create or replace function billing.remove_fee_rule(p_id text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_rule billing.fee_rules;
begin
  delete from billing.fee_rules where id = p_id returning * into v_rule;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such rule. `fees list` shows them.';
  end if;
  insert into billing.audit_log (actor, action, subject, details)
  values (p_actor, 'fee_rule.removed', p_id, to_jsonb(v_rule) - 'created_at' - 'updated_at');
  return to_jsonb(v_rule) || jsonb_build_object('percent', trim_scale(v_rule.percent)::text);
end $$;
