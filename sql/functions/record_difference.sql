-- Keeps a difference that no repair could mend, once while it is open, and tells the operators of a new one.
-- Callers: service. Idempotent by subject and reason. Answers whether it is new.
create or replace function billing.record_difference(
  p_run_id text, p_kind text, p_subject text, p_account_id text, p_reason text, p_details jsonb)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_known bigint;
begin
  update billing.reconciliation_differences set seen_at = now(), details = p_details
   where subject = p_subject and resolved_at is null
     -- A parked payment that is read again is the difference that its list has shown, whatever that was called.
     and (reason = p_reason or p_kind = 'open_payments')
  returning id into v_known;
  if found then
    return to_jsonb(false);
  end if;
  insert into billing.reconciliation_differences (subject, reason, kind, account_id, details, found_by)
  values (p_subject, p_reason, p_kind, p_account_id, p_details, p_run_id)
  on conflict (subject, reason) where resolved_at is null do nothing;
  if not found then
    return to_jsonb(false);
  end if;
  if exists (select from billing.accounts where id = p_account_id) then
    perform billing._notify_operators(p_account_id, 'reconciliation_difference', p_subject || ':' || p_reason,
      p_details || jsonb_build_object('subject', p_subject, 'reason', p_reason, 'kind', p_kind,
        'account_id', p_account_id));
  end if;
  return to_jsonb(true);
end $$;
