-- A person has looked at a difference and settled it elsewhere, or lives with it. Callers: service. Idempotent.
-- Raises RF008 invalid_value (no note), RF009 not_found.
create or replace function billing.dismiss_difference(p_id bigint, p_note text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_difference billing.reconciliation_differences;
begin
  if coalesce(length(trim(p_note)), 0) = 0 then
    raise exception using errcode = 'RF008', message = 'Say in a note why this difference is settled.';
  end if;
  select * into v_difference from billing.reconciliation_differences where id = p_id for update;
  if not found then
    raise exception using errcode = 'RF009', message = 'There is no such difference.';
  end if;
  if v_difference.resolved_at is null then
    update billing.reconciliation_differences set resolved_at = now(), resolution = p_note where id = p_id
    returning * into v_difference;
    insert into billing.audit_log (account_id, actor, action, subject, details)
    values (v_difference.account_id, p_actor, 'difference.dismissed', v_difference.subject,
      jsonb_build_object('reason', v_difference.reason, 'note', p_note));
  end if;
  return to_jsonb(v_difference);
end $$;
