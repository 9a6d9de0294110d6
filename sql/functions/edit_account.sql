-- Changes an account's name or mail address, null leaves either, and tells the old address; answers the account. The audit log
-- has which of them changed and not what to, since nothing is taken out of it.
-- Callers: service. Idempotent. Raises RF001 unknown_account, RF008 invalid_value (by the table's checks).
create or replace function billing.edit_account(p_account_id text, p_name text, p_email text, p_actor text)
  returns jsonb
  language plpgsql volatile security definer set search_path = '' as $$
declare
  v_old     billing.accounts;
  v_changed text[];
  v_entry   bigint;
begin
  perform billing._lock_account(p_account_id);
  select * into v_old from billing.accounts where id = p_account_id;
  v_changed := array_remove(array[
    case when p_name <> v_old.name then 'name' end,
    case when p_email is not null and p_email is distinct from v_old.email then 'email' end], null);
  if cardinality(v_changed) > 0 then
    update billing.accounts set name = coalesce(p_name, name), email = coalesce(p_email, email),
           email_refused = email_refused and (p_email is null or p_email = email)
     where id = p_account_id;
    insert into billing.audit_log (account_id, actor, action, subject, details)
    values (p_account_id, p_actor, 'account.edited', p_account_id, jsonb_build_object('changed', v_changed))
    returning id into v_entry;
    if v_old.email is not null and lower(v_old.email) <> lower(coalesce(p_email, v_old.email)) then
      perform billing._notify(p_account_id, 'account.email_changed', v_entry::text, jsonb_build_object('to', v_old.email));
    end if;
  end if;
  return billing.get_account(p_account_id);
end $$;
